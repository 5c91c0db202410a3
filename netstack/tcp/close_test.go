package tcp

import "testing"

// The states after ESTABLISHED, in the order of RFC 9293 section 3.6.
func TestClose(t *testing.T) {
	stories(t, map[string]string{
		"we close first": `
			from established
			closew
			state FIN-WAIT-1
			> F. seq 1 ack 1
			< . seq 1 ack 2
			state FIN-WAIT-2
			< F. seq 1 ack 2
			> . seq 2 ack 2
			event eof closed
			waits 1
			+60s
			waits 0`,
		"the peer closes first": `
			from established
			< F. seq 1 ack 1
			state CLOSE-WAIT
			> . seq 1 ack 2
			event eof
			write 10
			> P. seq 1 len 10 ack 2
			closew
			state LAST-ACK
			> F. seq 11 ack 2
			< . seq 2 ack 12
			state CLOSED
			event closed
			waits 0`,
		"both close at once": `
			from established
			closew
			> F. seq 1 ack 1
			< F. seq 1 ack 1
			state CLOSING
			> . seq 2 ack 2
			event eof
			< . seq 2 ack 2
			waits 1
			event closed`,
		"FIN and its acknowledgement in one": `
			from established
			closew
			> F. seq 1 ack 1
			< F. seq 1 ack 2
			> . seq 2 ack 2
			waits 1
			event eof closed`,
		"FIN rides on the last data": `
			from established
			write 100
			closew
			> FP. seq 1 len 100
			< . seq 1 ack 102
			state FIN-WAIT-2`,
		"half-close: we still receive": `
			from established
			closew
			> F. seq 1
			< . seq 1 ack 2
			< P. seq 1 ack 2 len 100
			got 100
			+1ms
			> . seq 2 ack 101
			< F. seq 101 ack 2
			> . seq 2 ack 102
			event eof closed
			waits 1`,
		"FIN before the text that precedes it": `
			from established
			< F. seq 11 ack 1
			> . seq 1 ack 1
			state ESTAB
			< . seq 1 ack 1 len 10
			got 10
			state CLOSE-WAIT
			> . seq 1 ack 12
			event eof`,
		"a FIN again in CLOSE-WAIT is acknowledged again": `
			from established
			< F. seq 1 ack 1
			> . seq 1 ack 2
			event eof
			< F. seq 1 ack 1
			> . seq 1 ack 2`,
		"our FIN is retransmitted": `
			from established
			closew
			> F. seq 1
			+210ms
			> F. seq 1
			< . seq 1 ack 2
			state FIN-WAIT-2`,
		"EOF waits for the reader": `
			from established
			take 3
			< FP. seq 1 ack 1 len 10
			> . seq 1 ack 12
			unread 7
			event none
			take 100
			resume
			got 10
			event eof`,
		"close with unread bytes resets": `
			from established
			take 0
			< P. seq 1 ack 1 len 10
			close
			> R. seq 1 ack 11            # section 3.6.1, SHLD-3
			state CLOSED`,
		"close with linger 0 resets": `
			from established
			linger0
			close
			> R. seq 1 ack 1
			state CLOSED`,
		"abort": `
			from established
			write 10
			abort
			> R. seq 1 ack 1
			state CLOSED
			event closed`,
		"an orphan answers text by RST": `
			from established
			close
			> F. seq 1
			< . seq 1 ack 2
			< P. seq 1 ack 2 len 5
			> R. seq 2
			state CLOSED`,
		"an orphan does not wait in FIN-WAIT-2 for ever": `
			from established
			close
			> F. seq 1
			< . seq 1 ack 2
			state FIN-WAIT-2
			+60s
			state CLOSED
			waits 0`,
		"one with a program waits": `
			from established
			closew
			> F. seq 1
			< . seq 1 ack 2
			+1000s
			state FIN-WAIT-2`,
		"close read discards": `
			from established
			closer
			< P. seq 1 ack 1 len 100
			got 0
			unread 0
			+1ms
			> . seq 1 ack 101`,
		"the rest of the queue goes out before the FIN": `
			from established
			setcwnd 1460
			write 3000
			close
			> . seq 1 len 1460
			< . seq 1 ack 1461
			> FP. seq 1461 len 1540
			< . seq 1 ack 3002
			state FIN-WAIT-2`,
	})
}

func TestTimeWait(t *testing.T) {
	const enter = `
			closew
			> F. seq 1
			< F. seq 1 ack 2 ts 100 1
			> . seq 2 ack 2
			waits 1
			event eof closed
			`
	stories(t, map[string]string{
		"a FIN again is acknowledged and restarts 2MSL": "from established" + enter + `
			+59s
			< F. seq 1 ack 2
			> . seq 2 ack 2
			+59s
			waits 1
			+1s
			waits 0`,
		"RST is ignored": "from established" + enter + `
			< R seq 2
			waits 1                      # RFC 1337`,
		"text gets an acknowledgement": "from established" + enter + `
			< . seq 1 ack 2 len 5
			> . seq 2 ack 2`,
		"answers are rationed": "from established" + enter + `
			< . seq 1 ack 2 len 5
			> . seq 2 ack 2
			< . seq 1 ack 2 len 5
			> none`,
		"a newer SYN takes the place of an accepted connection": `
			from accepted` + enter + `
			< S seq 50000
			> S. seq 65539 ack 50001     # beyond the old numbers: RFC 1122 section 4.2.2.13
			waits 0
			half 1`,
		"an old SYN does not": `
			from accepted` + enter + `
			< S seq 1
			> . seq 2 ack 2
			waits 1`,
		"a later timestamp tells a newer SYN": `
			listen 5
			< S seq 0 ts 50 0
			> S. seq 0 ack 1
			< . seq 1 ack 1 ts 51 1
			accept` + enter + `
			< S seq -5000 ts 101 0
			> S. seq 65539 ack -4999     # RFC 6191
			waits 0`,
		"an earlier timestamp tells an old one": `
			listen 5
			< S seq 0 ts 50 0
			> S. seq 0 ack 1
			< . seq 1 ack 1 ts 51 1
			accept` + enter + `
			< S seq 50000 ts 99 0
			> . seq 2 ack 2
			waits 1`,
		"the tuple is taken for connect": "from established" + enter + `
			waits 1`,
	})
}
