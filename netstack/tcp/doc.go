// Package tcp is the TCP of one stack: RFC 9293 with the extensions that a
// present-day peer speaks. It is pure: segments, instants and calls go in,
// segments and events come out, nothing blocks.
//
// A Layer holds everything. Its driver hands in segments (Input), moves time
// (Advance), and lets what is owed be sent (Flush): acknowledgements and new
// data of a whole batch of input leave together. A Socket is what a program
// holds; its Owner is told of bytes and events. Below is a Network, the IP
// layer.
//
// Where to find a rule:
//
//	layer.go       which connection a segment belongs to      RFC 9293 §3.10.7
//	input.go       a segment for a connection, step by step   RFC 9293 §3.10.7.4
//	handshake.go   SYNs and their options                     RFC 9293 §3.5, 7323, 2018
//	listen.go      listeners and their queues                 RFC 9293 §3.10.7.2
//	ecn.go         congestion marks; accecn.go counts them    RFC 3168, 9768, 8257
//	halfopen.go    SYN-RECEIVED after a passive open          RFC 4987
//	cookie.go      SYN cookies                                RFC 4987 §3.6
//	connect.go     active open                                RFC 9293 §3.10.1
//	syncache.go    half-open connections of all listeners     RFC 4987 §3.5
//	tfo.go         Fast Open; tfoclient.go tfoserver.go       RFC 7413
//	auth.go        signed segments                            RFC 2385, 5925
//	sadb.go        keys of the administrator                  RFC 2385, tcpkey(8)
//	md5.go         one way to sign; ao.go aokeys.go another   RFC 2385, 5925, 5926
//	tcb.go         the transmission control block             RFC 9293 §3.3.1
//	conn.go        its life from open to close, its timers    RFC 9293 §3.10
//	state.go       what each state permits                    RFC 9293 §3.3.2
//	ack.go         acknowledgements that arrive               RFC 9293 §3.10.7.4
//	output.go      what is sent when                          RFC 9293 §3.8.6.2.1, 5681
//	window.go      windows and their probes                   RFC 9293 §3.8.6, 7323 §2
//	delack.go      when to acknowledge                        RFC 5681 §4.2
//	memory.go      what all connections may take
//	audit.go       what must hold between calls
//	recovery.go    recovery from loss                         RFC 5681, 6582, 6675
//	rack.go        what is lost, by time                      RFC 8985 §6
//	classic.go     what is lost, by counting                  RFC 6675, 6582, 3042
//	prr.go         the window during recovery                 RFC 9937
//	frto.go        timeouts that were none                    RFC 5682
//	eifel.go       retransmissions that were needless         RFC 3522
//	blocks.go      function blocks                            tcp_functions(9)
//	pacing.go      when the next segment may leave            draft-ietf-ccwg-bbr §5.6.2
//	sendlog.go     what is in flight, by transmission         RFC 8985 §5.2, 6675
//	sack.go        selective acknowledgements that arrive     RFC 2018, 2883
//	ratesample.go  the rate of delivery                       draft-ietf-ccwg-bbr §4.1
//	reassembly.go  segments ahead of their turn               RFC 2018 §4
//	cc.go          what congestion control is told and decides; the algorithms
//	ccconn.go      what the connection tells it               RFC 6928, 2861
//	ccparam.go     parameters of algorithms by name
//	newreno.go     one algorithm                              RFC 5681, 3465, 8511
//	cubic.go       another; hystart.go is its slow start      RFC 9438, 9406
//	bbr.go         another; bbrmodel.go bbrstate.go bbrloss.go  draft-ietf-ccwg-bbr
//	dctcp.go       another; htcp.go vegas.go cdg.go more      RFC 8257
//	tlp.go         tail loss probes                           RFC 8985 §7
//	undo.go        reductions taken back                      RFC 3708, 4015
//	rto.go         the retransmission timer, giving up        RFC 6298
//	paws.go        timestamps                                 RFC 7323 §§3-5
//	mss.go         segment sizes                              RFC 9293 §3.7.1, 6691, 1191
//	rst.go         resets and challenges                      RFC 9293 §3.5.2, 5961
//	isn.go         initial sequence numbers                   RFC 6528
//	timewait.go    TIME-WAIT, FIN-WAIT-2 of orphans           RFC 9293 §3.6.1, 6191, 1337
//	urgent.go      urgent data                                RFC 6093
//	keepalive.go   keep-alive                                 RFC 9293 §3.8.4
//	icmp.go        ICMP errors                                RFC 9293 §3.9.2.2, 5461, 5927
//
// An idle connection costs about a kilobyte; a segment costs no allocation.
package tcp
