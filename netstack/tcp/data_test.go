package tcp

import "testing"

func TestDelayedAck(t *testing.T) {
	stories(t, map[string]string{
		"two full segments are acknowledged at once": `
			from established
			< . seq 1 ack 1 len 1460
			< . seq 1461 ack 1 len 1460
			> . seq 1 ack 2921`,
		"a merged segment too": `
			from established
			< . seq 1 ack 1 len 2920 gso 1460
			> . seq 1 ack 2921`,
		"a full segment at the start of a connection": `
			from established
			< . seq 1 ack 1 len 1460
			> . seq 1 ack 1461`,
		"a small one waits a moment for an answer": `
			from established
			< P. seq 1 ack 1 len 100
			> none
			write 50
			> P. seq 1 ack 101 len 50
			< . seq 101 ack 51
			+1s
			> none`,
		"later it waits longer": `
			from established
			quickack off
			< P. seq 1 ack 1 len 100
			+39ms
			> none
			+1ms
			> . seq 1 ack 101`,
		"an interactive exchange delays": `
			from established
			< P. seq 1 ack 1 len 100
			write 10
			> P. seq 1 ack 101 len 10
			< P. seq 101 ack 11 len 1460
			> none
			+40ms
			> . seq 11 ack 1561`,
		"a gap is told at once, and when it is filled": `
			from established
			< . seq 101 ack 1 len 100
			> . seq 1 ack 1
			< . seq 1 ack 1 len 100
			> . seq 1 ack 201
			got 200`,
		"TCP_QUICKACK sends what is owed": `
			from established
			quickack off
			< P. seq 1 ack 1 len 100
			> none
			quickack on
			> . seq 1 ack 101`,
	})
}

func TestNagle(t *testing.T) {
	stories(t, map[string]string{
		"a second small segment waits": `
			from established
			write 10
			> P. seq 1 len 10
			write 10
			write 10
			> none
			< . seq 1 ack 11
			> P. seq 11 len 20`,
		"full segments do not, their tail does": `
			from established
			write 10
			> P. seq 1 len 10
			write 3000
			> . seq 11 len 2920 gso 1460
			< . seq 1 ack 11
			> P. seq 2931 len 80`,
		"TCP_NODELAY": `
			from established
			nodelay
			write 10
			> P. seq 1 len 10
			write 10
			> P. seq 11 len 10`,
		"the FIN takes along what waits": `
			from established
			write 10
			> P. seq 1 len 10
			write 10
			closew
			> FP. seq 11 len 10`,
		"cork holds partial segments for 200 ms": `
			from established
			cork on
			write 10
			> none
			write 1460
			> . seq 1 len 1460
			< . seq 1 ack 1461
			> none
			+200ms
			> P. seq 1461 len 10`,
		"uncork": `
			from established
			cork on
			write 10
			> none
			cork off
			> P. seq 1 len 10`,
		"one piece as large as the path takes": `
			from established
			setcwnd 200000
			write 100000
			> . seq 1 len 64240 gso 1460` + "\n" + `
			skip`,
		"without segmentation offload": `
			gso 0
			connect
			> S seq 0
			< S. seq 0 ack 1 mss 1000
			> . seq 1 ack 1
			event connected writable
			write 2500
			> . seq 1 len 1000
			> . seq 1001 len 1000
			> P. seq 2001 len 500`,
	})
}

func TestWindow(t *testing.T) {
	stories(t, map[string]string{
		"the peer's window is respected": `
			from established
			< . seq 1 ack 1 win 3000
			write 10000
			> . seq 1 len 2920
			< . seq 1 ack 2921 win 3000
			> . seq 2921 len 2920
			< . seq 1 ack 5841 win 10000
			> P. seq 5841 len 4160`,
		"zero window is probed with backoff": `
			from established
			< . seq 1 ack 1 win 0
			write 10
			> none
			+201ms
			> . seq 0 ack 1
			< . seq 1 ack 1 win 0
			+401ms
			> . seq 0 ack 1
			< . seq 1 ack 1 win 0
			+790ms
			> none
			+20ms
			> . seq 0 ack 1
			< . seq 1 ack 1 win 100
			> P. seq 1 len 10`,
		"a probed window may stay shut for ever": `
			from established
			< . seq 1 ack 1 win 0
			write 10
			skip
			+100s
			skip
			< . seq 1 ack 1 win 0
			+100s
			skip
			< . seq 1 ack 1 win 0
			+100s
			skip
			< . seq 1 ack 1 win 0
			state ESTAB`,
		"unanswered probes end the connection": `
			from established
			< . seq 1 ack 1 win 0
			write 10
			+2000s
			skip
			state CLOSED
			err ETIMEDOUT
			event error closed`,
		"the peer may take window back": `
			from established
			write 4380
			> P. seq 1 len 4380
			< . seq 1 ack 1461 win 0
			> none
			+210ms
			> . seq 1461 len 1460        # section 3.8.6, MUST-34
			< . seq 1 ack 4381 win 5000
			state ESTAB`,
		"our window closes and opens": `
			rcvbuf 4000
			connect
			> S seq 0 win 4000
			< S. seq 0 ack 1 mss 1000
			> . seq 1 ack 1 win 4000
			event connected writable
			take 0
			< . seq 1 ack 1 len 2000 gso 1000
			> . seq 1 ack 2001 win 2000
			< . seq 2001 ack 1 len 2000 gso 1000
			> . seq 1 ack 4001 win 0
			take 10
			resume
			> none                       # section 3.8.6.2.2: no silly window
			take 5000
			resume
			> . seq 1 ack 4001 win 4000`,
		"a large buffer that is nearly full offers nothing": `
			rcvbuf 64000
			connect
			> S seq 0 win 64000
			< S. seq 0 ack 1 mss 1000
			> . seq 1 ack 1
			event connected writable
			take 0
			< . seq 1 ack 1 len 40000 gso 1000
			> . seq 1 ack 40001 win 24000
			< . seq 40001 ack 1 len 24000 gso 1000
			> . seq 1 ack 64001 win 0
			take 3500
			resume
			> none
			< . seq 0 ack 1              # a probe
			> . seq 1 ack 64001 win 0
			take 600
			resume
			> . seq 1 ack 64001 win 4100`,
		"a FIN gets through a shut window": `
			rcvbuf 1000
			connect
			> S seq 0
			< S. seq 0 ack 1 mss 1000
			> . seq 1 ack 1
			event connected writable
			take 0
			< . seq 1 ack 1 len 1000
			> . seq 1 ack 1001 win 0
			< F. seq 1001 ack 1
			> . seq 1 ack 1002 win 0
			state CLOSE-WAIT`,
		"SYN window does not exceed 16 bits": `
			connect
			> S seq 0 win 65535`,
	})
}

func TestUrgent(t *testing.T) {
	stories(t, map[string]string{
		"sent": `
			from established
			urgent 5
			> PU. seq 1 len 5 urg 5      # behind the last byte, as everyone reads it
			< . seq 1 ack 6
			write 3
			> P. seq 6 len 3`,
		"received: the urgent byte comes alone": `
			from established
			take 0
			< PU. seq 1 ack 1 len 10 urg 4
			event urgent
			ahead 3
			take 3
			resume
			got 3
			ahead 0
			take 1
			resume
			got 4
			take 100
			resume
			got 10
			+1ms
			> . seq 1 ack 11`,
		"announced ahead of its byte": `
			from established
			< U. seq 1 ack 1 urg 4
			event urgent
			ahead 3
			< P. seq 1 ack 1 len 4
			got 4
			+1ms
			> . seq 1 ack 5`,
		"a stale pointer": `
			from established
			< PU. seq 1 ack 1 len 10 urg 10
			event urgent
			got 10
			< U. seq 11 ack 1 urg 0
			event none
			+1ms
			> . seq 1 ack 11`,
	})
}

func TestPAWS(t *testing.T) {
	stories(t, map[string]string{
		"an old timestamp is dropped and acknowledged": `
			from timestamps
			< . seq 1 ack 1 len 10 ts 99 1
			> . seq 1 ack 1 ecr 100      # RFC 7323 section 5.3 R1
			got 0`,
		"a missing timestamp is dropped in silence": `
			from timestamps
			< . seq 1 ack 1 len 10
			> none                       # section 3.2
			got 0`,
		"a RST needs none": `
			from timestamps
			< R seq 1
			state CLOSED
			err ECONNRESET
			event error closed`,
		"the echo is that of the segment that moved RCV.NXT": `
			from timestamps
			< . seq 1 ack 1 len 1448 ts 110 1
			> . seq 1 ack 1449 ecr 110
			< . seq 2897 ack 1 len 1448 ts 120 1
			> . seq 1 ack 1449 ecr 110   # section 4.3
			< . seq 1449 ack 1 len 1448 ts 115 1
			> . seq 1 ack 4345 ecr 115`,
		"after 24 days any timestamp will do": `
			from timestamps
			+600h
			< P. seq 1 ack 1 len 10 ts 50 1
			got 10                       # section 5.5
			+1ms
			> . seq 1 ack 11`,
	})
}

func TestKeepAlive(t *testing.T) {
	stories(t, map[string]string{
		"a silent peer is probed and given up": `
			from established
			keepalive 10 2 3
			+9s
			> none
			+1s
			> . seq 0 ack 1
			+2s
			> . seq 0 ack 1
			+2s
			> . seq 0 ack 1
			+2s
			> R. seq 1
			err ETIMEDOUT
			event error closed`,
		"an answer starts over": `
			from established
			keepalive 10 2 3
			+10s
			> . seq 0 ack 1
			< . seq 1 ack 1
			+9s
			> none
			+2s
			> . seq 0 ack 1
			< . seq 1 ack 1
			state ESTAB`,
		"user timeout": `
			from established
			keepalive 10 2 9
			usertimeout 13
			+13s
			skip
			+1s
			skip
			state CLOSED
			err ETIMEDOUT
			event error closed`,
	})
}

func TestICMP(t *testing.T) {
	stories(t, map[string]string{
		"hard error refuses a connect": `
			connect
			> S seq 0
			icmp 0 hard
			err ECONNREFUSED
			event error closed`,
		"soft error ends a connect too": `
			connect
			> S seq 0
			icmp 0 soft
			err EHOSTUNREACH
			event error closed`,
		"a wrong sequence number is a forgery": `
			connect
			> S seq 0
			icmp 7 hard
			state SYN-SENT               # RFC 5927 section 4`,
		"neither ends an established connection": `
			from established
			write 10
			> P. seq 1 len 10
			icmp 1 hard
			icmp 1 soft
			state ESTAB`,
		"a soft error is what a timeout reports": `
			from established
			write 10
			> P. seq 1 len 10
			icmp 1 soft
			+2000s
			skip
			err EHOSTUNREACH
			event error closed`,
		"a smaller path MTU": `
			from established
			write 5000
			> P. seq 1 len 5000 gso 1460
			icmp 1 1000
			mss 960
			> P. seq 1 len 5000 gso 960
			cwnd 14600`,
		"path MTU of what is not in flight": `
			from established
			icmp 1 1000
			mss 1460`,
		"path MTU is bounded below": `
			from established
			write 10
			> P. seq 1 len 10
			icmp 1 68
			mss 512
			> P. seq 1 len 10`,
	})
}
