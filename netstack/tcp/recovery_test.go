package tcp

import "testing"

func TestRetransmissionTimeout(t *testing.T) {
	stories(t, map[string]string{
		"backs off": `
			from established
			write 10
			> P. seq 1 len 10
			+201ms
			> P. seq 1 len 10
			+401ms
			> P. seq 1 len 10
			+801ms
			> P. seq 1 len 10`,
		"an acknowledgement of new data resets it": `
			from established
			write 10
			> P. seq 1 len 10
			+201ms
			> P. seq 1 len 10
			< . seq 1 ack 11
			write 10
			> P. seq 11 len 10
			+201ms
			> P. seq 11 len 10`,
		"everything outstanding is lost, one segment goes first": `
			from established
			write 5840
			> P. seq 1 len 5840
			+201ms
			> . seq 1 len 1460
			cwnd 1460
			ssthresh 10220               # cubic: 0.7 of ten segments
			< . seq 1 ack 1461
			> . seq 1461 len 2920        # slow start
			< . seq 1 ack 4381
			> P. seq 4381 len 1460
			< . seq 1 ack 5841
			> none`,
		"an acknowledgement of the original ends it": `
			from established
			write 5840
			> P. seq 1 len 5840
			+201ms
			> . seq 1 len 1460
			< . seq 1 ack 5841
			> none
			write 10
			> P. seq 5841 len 10`,
		"reno halves the flight": `
			with tcp_congestion_control=reno
			from established
			write 8760
			> P. seq 1 len 8760
			+201ms
			> . seq 1 len 1460
			ssthresh 4380                # RFC 5681 equation 4`,
		"gives up after the time of fifteen": `
			from established
			write 10
			> P. seq 1 len 10
			+900s
			skip
			state ESTAB
			+100s
			skip
			state CLOSED
			err ETIMEDOUT
			event error closed`,
		"user timeout": `
			from established
			usertimeout 5
			write 10
			> P. seq 1 len 10
			+8s
			skip
			state CLOSED
			err ETIMEDOUT
			event error closed`,
		"a segment in flight is timed": `
			from established
			write 10
			> P. seq 1 len 10
			+100ms
			< . seq 1 ack 11
			write 10
			> P. seq 11 len 10
			+200ms
			> none
			+300ms
			> P. seq 11 len 10`,
	})
}

func TestFastRetransmit(t *testing.T) {
	stories(t, map[string]string{
		"newreno": `
			with tcp_congestion_control=reno
			from established
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1
			> none
			< . seq 1 ack 1
			> none
			< . seq 1 ack 1
			> . seq 1 len 1460           # RFC 5681 section 3.2
			ssthresh 7300
			< . seq 1 ack 1
			< . seq 1 ack 1
			> none
			< . seq 1 ack 14601          # RFC 6582: full acknowledgement
			cwnd 7300
			write 1000
			> P. seq 14601 len 1000`,
		"a partial acknowledgement retransmits the next hole": `
			with tcp_congestion_control=reno
			from established
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1
			< . seq 1 ack 1
			< . seq 1 ack 1
			> . seq 1 len 1460
			< . seq 1 ack 4381
			> . seq 4381 len 1460        # RFC 6582 section 3.2 step 3
			< . seq 1 ack 14601
			cwnd 7300`,
		"limited transmit": `
			from established
			write 20000
			> . seq 1 len 14600
			< . seq 1 ack 1
			> . seq 14601 len 1460       # RFC 3042
			< . seq 1 ack 1
			> . seq 16061 len 1460
			< . seq 1 ack 1
			> . seq 1 len 1460`,
		"a segment with text or a new window is no duplicate": `
			from established
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 len 10
			< . seq 11 ack 1 win 60000
			< . seq 11 ack 1 win 60001
			< . seq 11 ack 1 win 60002
			+1ms
			> . seq 14601 ack 11`,
		"no second reduction for what a timeout resent": `
			with tcp_congestion_control=reno
			from established
			write 7300
			> P. seq 1 len 7300
			+201ms
			> . seq 1 len 1460
			< . seq 1 ack 7301
			ssthresh 3650
			write 1460
			> P. seq 7301 len 1460
			< . seq 1 ack 7301
			< . seq 1 ack 7301
			< . seq 1 ack 7301
			ssthresh 3650`,
	})
}

func TestSACKSender(t *testing.T) {
	stories(t, map[string]string{
		"three segments above make a loss": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-2921
			> none
			< . seq 1 ack 1 sack 1461-4381
			> none
			< . seq 1 ack 1 sack 1461-5841
			> . seq 1 len 1460
			< . seq 1 ack 14601`,
		"several holes go at once, as the pipe allows": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-2921,4381-14601
			> . seq 1 len 1460
			> . seq 2921 len 1460        # RFC 6675 NextSeg (1)
			< . seq 1 ack 14601`,
		"what is not deemed lost waits": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-2921,4381-5841
			> none
			< . seq 1 ack 1 sack 4381-8761,1461-2921
			> . seq 1 len 1460
			> . seq 2921 len 1460`,
		"lies are ignored": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 20000-30000,5-2,0-1461
			< . seq 1 ack 1 sack 20000-30000
			< . seq 1 ack 1 sack 20000-30000
			< . seq 1 ack 1 sack 20000-30000
			> none`,
		"a lost retransmission is noticed": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-14601
			> . seq 1 len 1460
			write 10220
			> . seq 14601 len 8760
			< . seq 1 ack 1 sack 1461-23361
			> . seq 1 len 1460
			> P. seq 23361 len 1460
			< . seq 1 ack 24821`,
		"after a timeout what was selectively acknowledged is not resent": `
			from sack
			write 5840
			> P. seq 1 len 5840
			< . seq 1 ack 1 sack 1461-2921
			+3ms
			> P. seq 4381 len 1460       # the probe
			+201ms
			> . seq 1 len 1460
			< . seq 1 ack 2921
			> P. seq 2921 len 2920
			< . seq 1 ack 5841`,
		"a peer that reneges gets everything again": `
			from sack
			write 4380
			> P. seq 1 len 4380
			< . seq 1 ack 1 sack 1461-2921
			< . seq 1 ack 1461 sack 2921-4381
			+3ms
			> P. seq 2921 len 1460       # the probe
			+201ms
			> . seq 1461 len 1460
			< . seq 1 ack 4381`,
	})
}

func TestSACKReceiver(t *testing.T) {
	stories(t, map[string]string{
		"islands, the latest first": `
			from sack
			< . seq 101 ack 1 len 100
			> . seq 1 ack 1 sack 101-201
			< . seq 301 ack 1 len 100
			> . seq 1 ack 1 sack 301-401,101-201
			< . seq 201 ack 1 len 100
			> . seq 1 ack 1 sack 101-401
			< . seq 501 ack 1 len 10
			< . seq 601 ack 1 len 10
			< . seq 701 ack 1 len 10
			< . seq 801 ack 1 len 10
			> . seq 1 ack 1 sack 801-811,701-711,601-611,501-511
			< . seq 1 ack 1 len 100
			> . seq 1 ack 401 sack 801-811,701-711,601-611,501-511
			got 400`,
		"three with timestamps": `
			connect
			> S seq 0
			< S. seq 0 ack 1 mss 1460 sackok ts 1 0
			> . seq 1 ack 1
			event connected writable
			< . seq 101 ack 1 len 10 ts 1 0
			< . seq 201 ack 1 len 10 ts 1 0
			< . seq 301 ack 1 len 10 ts 1 0
			< . seq 401 ack 1 len 10 ts 1 0
			> . seq 1 ack 1`,
		"what arrives twice is told": `
			from sack
			< . seq 1 ack 1 len 100
			< . seq 1 ack 1 len 100
			> . seq 1 ack 101 sack 1-101 # RFC 2883 section 4
			< . seq 201 ack 1 len 100
			> . seq 1 ack 101 sack 201-301
			< . seq 51 ack 1 len 100
			> . seq 1 ack 151 sack 51-101,201-301
			got 150`,
		"none unless agreed": `
			from established
			< . seq 101 ack 1 len 100
			> . seq 1 ack 1`,
		"text that overlaps what is held": `
			from sack
			< . seq 101 ack 1 len 100
			> . seq 1 ack 1 sack 101-201
			< . seq 51 ack 1 len 200
			> . seq 1 ack 1 sack 51-251
			< . seq 1 ack 1 len 300
			> . seq 1 ack 301
			got 300`,
	})
}

func TestUndo(t *testing.T) {
	stories(t, map[string]string{
		"reordering was taken for a loss": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-5841
			> . seq 1 len 1460
			cwnd 10220
			< . seq 1 ack 5841           # the original was late
			< . seq 1 ack 5841 sack 1-1461
			cwnd 14600
			< . seq 1 ack 14601
			cwnd 14600`,
		"a timeout was premature": `
			from sack
			write 10
			> P. seq 1 len 10
			+201ms
			> P. seq 1 len 10
			cwnd 1460
			< . seq 1 ack 11
			< . seq 1 ack 11 sack 1-11
			cwnd 14600`,
		"a real loss stays one": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-5841
			> . seq 1 len 1460
			< . seq 1 ack 14601
			cwnd 10220
			write 10
			> P. seq 14601 len 10
			< . seq 1 ack 14611
			cwnd 10220`,
	})
}

func TestTailLossProbe(t *testing.T) {
	stories(t, map[string]string{
		"the last segment again": `
			from sack
			write 5840
			> P. seq 1 len 5840
			+3ms
			> P. seq 4381 len 1460       # RFC 8985 section 7.3
			+198ms
			> none
			< . seq 1 ack 5841 sack 4381-5841   # a D-SACK: only the acknowledgement was lost
			cwnd 14600`,
		"a repaired loss counts as one": `
			from sack
			write 5840
			> P. seq 1 len 5840
			+3ms
			> P. seq 4381 len 1460
			< . seq 1 ack 5841
			cwnd 10220                   # section 7.4.2`,
		"new data if there is any": `
			from sack
			write 20000
			> . seq 1 len 14600
			+3ms
			> . seq 14601 len 1460
			< . seq 1 ack 16061
			> P. seq 16061 len 3940
			< . seq 1 ack 20001
			cwnd 30660`,
		"one at a time, then the timeout": `
			from sack
			write 5840
			> P. seq 1 len 5840
			+3ms
			> P. seq 4381 len 1460
			+201ms
			> . seq 1 len 1460`,
		"its arrival shows what is lost": `
			from sack
			write 5840
			> P. seq 1 len 5840
			+3ms
			> P. seq 4381 len 1460
			< . seq 1 ack 1 sack 4381-5841
			> . seq 1 len 4380
			< . seq 1 ack 5841`,
		"a lost retransmission in silence": `
			from sack
			write 14600
			> P. seq 1 len 14600
			< . seq 1 ack 1 sack 1461-7301
			> . seq 1 len 1460
			+3ms
			> . seq 1 len 1460
			< . seq 1 ack 14601`,
		"a single segment gives the peer time to delay": `
			from sack
			write 10
			> P. seq 1 len 10
			+199ms
			> none
			+2ms
			> P. seq 1 len 10
			cwnd 1460`,
		"without SACK there is none": `
			from established
			write 5840
			> P. seq 1 len 5840
			+199ms
			> none`,
	})
}
