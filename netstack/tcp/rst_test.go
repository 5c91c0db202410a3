package tcp

import "testing"

func TestReset(t *testing.T) {
	stories(t, map[string]string{
		"at RCV.NXT ends the connection": `
			from established
			< R seq 1
			> none
			state CLOSED
			err ECONNRESET
			event error closed`,
		"elsewhere in the window is challenged": `
			from established
			< R seq 2
			> . seq 1 ack 1              # RFC 5961 section 3.2
			state ESTAB`,
		"outside of the window is ignored": `
			from established
			< R seq 0
			< R seq 200000
			> none
			state ESTAB`,
		"a SYN is challenged wherever it is": `
			from established
			< S seq 0
			> . seq 1 ack 1              # RFC 5961 section 4.2
			state ESTAB
			+1s
			< S. seq 5 ack 1
			> . seq 1 ack 1
			state ESTAB`,
		"challenges are rationed": `
			from established
			< R seq 2
			> . seq 1 ack 1
			< R seq 3
			> none
			+500ms
			< R seq 4
			> . seq 1 ack 1`,
		"unread bytes survive": `
			from established
			take 0
			< P. seq 1 ack 1 len 10
			< R seq 11
			event error
			unread 10
			take 10
			resume
			got 10
			event closed`,
		"in CLOSE-WAIT": `
			from established
			< F. seq 1 ack 1
			> . seq 1 ack 2
			event eof
			< R seq 2
			err EPIPE
			event error closed`,
		"in LAST-ACK is the end": `
			from established
			< F. seq 1 ack 1
			closew
			> F. seq 1 ack 2
			< R seq 2
			state CLOSED
			err 0
			event eof closed`,
		"in FIN-WAIT-1": `
			from established
			closew
			> F. seq 1
			< R seq 1
			err ECONNRESET
			event error closed`,
		"in SYN-RECEIVED of a crossed open": `
			connect
			> S seq 0
			< S seq 0
			> S. seq 0
			< R seq 1
			err ECONNREFUSED
			event error closed`,
	})
}

func TestUnacceptable(t *testing.T) {
	stories(t, map[string]string{
		"an old segment is acknowledged": `
			from established
			< . seq 1 ack 1 len 10
			+1ms
			> . seq 1 ack 11
			< . seq 1 ack 1 len 10
			> . seq 1 ack 11
			got 10`,
		"the new part of an overlapping segment counts": `
			from established
			< . seq 1 ack 1 len 10
			< . seq 6 ack 1 len 10
			> . seq 1 ack 16
			got 15`,
		"beyond the window": `
			from established
			< . seq 900000 ack 1 len 10
			> . seq 1 ack 1
			got 0`,
		"what does not fit the window is cut": `
			rcvbuf 1000
			connect
			> S seq 0 win 1000
			< S. seq 0 ack 1 mss 1000
			> . seq 1 ack 1 win 1000
			take 0
			< . seq 1 ack 1 len 1200
			unread 1000
			> . seq 1 ack 1001 win 0
			event connected writable`,
		"an ACK of what was not sent": `
			from established
			< . seq 1 ack 9
			> . seq 1 ack 1`,
		"an ACK from long ago": `
			from established
			< . seq 1 ack -70000 len 5
			> . seq 1 ack 1              # RFC 5961 section 5.2
			got 0`,
		"a duplicate ACK is harmless": `
			from established
			< . seq 1 ack 1
			< . seq 1 ack 0
			> none`,
		"without ACK": `
			from established
			< 0 seq 1 len 10
			> none
			got 0`,
		"a probe before the window is answered": `
			from established
			< . seq 0 ack 1
			> . seq 1 ack 1`,
	})
}
