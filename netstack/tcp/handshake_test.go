package tcp

import "testing"

func TestHandshake(t *testing.T) {
	stories(t, map[string]string{
		"active open offers everything": `
			connect
			state SYN-SENT
			> S seq 0 mss 1460 ws 7 sackok ts
			< S. seq 0 ack 1 win 1000 mss 1400 ws 3 sackok ts 7 0
			> . seq 1 ack 1 ts ecr 7
			state ESTAB
			event connected writable
			mss 1388`,
		"options that the peer lacks are not used": `
			from established
			write 10
			> P. seq 1 ack 1 len 10 nots
			mss 1460`,
		"a peer without MSS gets the default": `
			connect
			> S seq 0
			< S. seq 0 ack 1 win 1000
			> . seq 1 ack 1
			mss 536                      # RFC 9293 section 3.7.1, MUST-15
			event connected writable`,
		"the window of a SYN is not scaled": `
			connect
			> S seq 0
			< S. seq 0 ack 1 win 1000 mss 1000 ws 7
			> . seq 1 ack 1
			write 5000
			> . seq 1 ack 1 len 1000     # RFC 7323 section 2.2
			< . seq 1 ack 1001 win 1000
			> P. seq 1001 len 4000`,
		"refused": `
			connect
			> S seq 0
			< R. seq 0 ack 1
			state CLOSED
			err ECONNREFUSED
			event error closed`,
		"a RST without an acceptable ACK is ignored in SYN-SENT": `
			connect
			> S seq 0
			< R seq 0
			state SYN-SENT
			< R. seq 0 ack 9
			state SYN-SENT`,
		"an unacceptable ACK in SYN-SENT is reset": `
			connect
			> S seq 0
			< S. seq 0 ack 5
			> R seq 5                    # section 3.10.7.3
			state SYN-SENT
			< . seq 0 ack 0
			> R seq 0`,
		"an ACK alone in SYN-SENT is dropped": `
			connect
			> S seq 0
			< . seq 0 ack 1
			> none
			state SYN-SENT`,
		"simultaneous open": `
			connect
			> S seq 0
			< S seq 0 win 65535 mss 1000
			state SYN-RECV
			> S. seq 0 ack 1             # figure 8
			< S. seq 0 ack 1 win 65535 mss 1000
			state ESTAB
			> . seq 1 ack 1
			event connected writable`,
		"simultaneous open ends by a plain ACK": `
			connect
			> S seq 0
			< S seq 0 win 65535 mss 1000
			> S. seq 0 ack 1
			< . seq 1 ack 1 win 500
			state ESTAB
			event connected writable
			write 600
			> . seq 1 len 500            # section 3.8.6.2.1 rule (3)`,
		"wrong ACK in SYN-RECEIVED": `
			connect
			> S seq 0
			< S seq 0 win 65535
			> S. seq 0 ack 1
			< . seq 1 ack 77
			> R seq 77
			state SYN-RECV`,
		"SYN is retransmitted with backoff, six times": `
			connect
			> S seq 0
			+999ms
			> none
			+1ms
			> S seq 0
			+2s
			> S seq 0
			+4s
			> S seq 0
			+8s
			> S seq 0
			+16s
			> S seq 0
			+32s
			> S seq 0
			+63s
			state SYN-SENT
			+1s
			> none
			state CLOSED
			err ETIMEDOUT
			event error closed`,
		"connect again after a failure": `
			connect
			> S seq 0
			< R. seq 0 ack 1
			err ECONNREFUSED
			event error closed
			forget
			connect
			> S seq 0
			< S. seq 0 ack 1 mss 1000
			> . seq 1 ack 1
			event connected writable
			err 0`,
		"close in SYN-SENT": `
			connect
			> S seq 0
			close
			> none
			state CLOSED`,
		"text with the SYN-ACK": `
			connect
			> S seq 0
			< S. seq 0 ack 1 win 1000 len 5
			> . seq 1 ack 6
			got 5
			event connected writable`,
		"data queued before the handshake follows it": `
			connect
			write 100
			> S seq 0
			< S. seq 0 ack 1 win 1000 mss 1000
			> P. seq 1 ack 1 len 100
			event connected writable`,
		"passive open": `
			listen 5
			< S seq 0 win 1000 mss 1400 ws 2 sackok ts 9 0
			> S. seq 0 ack 1 mss 1460 ws 7 sackok ts ecr 9
			half 1
			< . seq 1 ack 1 win 1000 ts 10 1
			half 0
			queue 1
			event acceptable
			accept
			state ESTAB
			event none`,
		"a listener answers with what it was offered": `
			listen 5
			< S seq 0 win 1000
			> S. seq 0 ack 1 ws -1 nots`,
		"SYN-ACK is retransmitted five times": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			+1s
			> S. seq 0
			+2s
			> S. seq 0
			+4s
			> S. seq 0
			+8s
			> S. seq 0
			+16s
			> S. seq 0
			half 1
			+33s
			half 0
			> none`,
		"a repeated SYN gets the SYN-ACK again": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			< S seq 0
			> S. seq 0 ack 1
			half 1`,
		"text with the last ACK": `
			listen 5
			< S seq 0 mss 1000
			> S. seq 0 ack 1
			< P. seq 1 ack 1 len 7
			accept
			got 7
			+1ms
			> . seq 1 ack 8`,
		"RST takes SYN-RECEIVED back to LISTEN": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			< R seq 1
			half 0
			> none
			state LISTEN`,
		"a RST off RCV.NXT is challenged": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			< R seq 9
			> . seq 1 ack 1              # RFC 5961 section 3.2
			half 1`,
		"a wrong ACK is reset and the peer may try on": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			< . seq 1 ack 2
			> R seq 2
			half 1
			< . seq 1 ack 1
			half 0`,
		"ACK at a listener is reset, RST ignored, others dropped": `
			listen 5
			< . seq 5 ack 9
			> R seq 9
			< R seq 5
			< 0 seq 5
			< SF seq 5
			> none`,
		"no listener": `
			listen 5
			< S seq 0 len 3 to 81
			> R. ack 4                   # section 3.10.7.1
			< . seq 0 ack 5 to 81
			> R seq 5
			< R seq 0 to 81
			> none`,
	})
}

func TestListenBacklog(t *testing.T) {
	stories(t, map[string]string{
		"the accept queue holds one more than the backlog": `
			listen 1
			< S seq 0 port 1
			< . seq 1 ack 1 port 1
			skip
			forget
			< S seq 0 port 2
			< . seq 1 ack 1 port 2
			skip
			queue 2
			< S seq 0 port 3
			> none                       # dropped
			half 0`,
		"a full queue makes the peer wait": `
			listen 0
			< S seq 0 port 1
			< S seq 0 port 2
			half 1                       # backlog + 1
			forget
			< S seq 0 port 1
			> S. seq 0 ack 1
			< . seq 1 ack 1 port 1
			queue 1
			< S seq 0 port 2
			> none
			accept`,
		"deferred accept waits for data": `
			listen 5
			defer 5
			< S seq 0
			> S. seq 0 ack 1
			< . seq 1 ack 1
			queue 0
			< P. seq 1 ack 1 len 4
			queue 1
			accept
			got 4
			+1ms
			> . seq 1 ack 5`,
		"closing a listener resets those who wait": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			< . seq 1 ack 1
			queue 1
			close
			> R. seq 1
			state CLOSED`,
		"closing a listener resets the half-open": `
			listen 5
			< S seq 0
			> S. seq 0 ack 1
			close
			> R. seq 1
			half 0`,
	})
}
