package tcp

import (
	"math"
	"strings"
	"testing"
	"time"
)

// A damage is done to a layer that a script has brought into a state. Audit must
// have nothing to say before, and say wrong afterwards; "": still nothing.
type damage struct {
	script string
	do     func(l *Layer, c *conn)
	wrong  string
}

const (
	auditIdle    = "from established\n+1h"
	auditInUse   = "from established\nwrite 10\n> P. seq 1 len 10"
	auditShut    = "from established\n< . seq 1 ack 1 win 0\nwrite 10"
	auditOwesAck = "from established\nquickack off\n< . seq 1 ack 1 len 10"
	auditFinSent = "from established\nclosew\n> F. seq 1"
	auditGap     = "from established\n< . seq 11 ack 1 len 10\n> . seq 1 ack 1"
	auditOrphan  = "from established\nclose\n> F. seq 1\n< . seq 1 ack 2"
	auditHalf    = "listen 5\n< S seq 0 win 1000\n> S. seq 0\nuse b\n< S seq 0 win 1000\n> S. seq 0\nuse c\n< S seq 0 win 1000\n> S. seq 0"
	auditWaits   = "from established\nclosew\n> F. seq 1\n< F. seq 1 ack 2\n> . seq 2 ack 2"
	auditThree   = "connect\n> S seq 0\n+30ms\nuse b\nconnect\n> S seq 0\n+10ms\nuse c\nconnect\n> S seq 0"
)

// firstHalf is a half-open connection of the layer.
func firstHalf(l *Layer) *halfOpen { return l.syns.lists[0].oldest }

var damages = map[string]damage{
	"an ended connection in the table":      {auditIdle, func(_ *Layer, c *conn) { c.state = StateClosed }, "stands under"},
	"a connection under another's key":      {auditIdle, func(_ *Layer, c *conn) { c.rport++ }, "stands under"},
	"text in flight without a timer":        {auditInUse, func(_ *Layer, c *conn) { c.timers[timerRexmt] = 0 }, "10 bytes in flight"},
	"unsent text without a timer":           {auditShut, func(_ *Layer, c *conn) { c.timers[timerRexmt] = 0 }, "10 unsent, no timer"},
	"unsent text that the next Flush sends": {auditShut, func(_ *Layer, c *conn) { c.timers[timerRexmt] = 0; c.flags |= flagDirty }, ""},
	"an acknowledgement that nothing sends": {auditOwesAck, func(_ *Layer, c *conn) { c.timers[timerDelack] = 0 }, "10 bytes are never acknowledged"},
	"an orphan that waits for ever":         {auditOrphan, func(_ *Layer, c *conn) { c.timers[timerLinger] = 0 }, "orphan without a timer"},
	"a program that waits for ever":         {"from established\nclosew\n> F. seq 1\n< . seq 1 ack 2", func(*Layer, *conn) {}, ""},
	"a timer that never runs":               {auditInUse, func(l *Layer, c *conn) { l.timers.remove(c) }, "not in the heap"},
	"SND.NXT below SND.UNA":                 {auditIdle, func(_ *Layer, c *conn) { c.sndNxt--; c.flags |= flagDirty }, "SND.UNA 1, SND.NXT 0"},
	"SND.NXT beyond the queue":              {auditInUse, func(_ *Layer, c *conn) { c.sndNxt += 2 }, "SND.NXT 13"},
	"SND.NXT behind the FIN":                {auditFinSent, func(*Layer, *conn) {}, ""},
	"SND.NXT beyond the FIN":                {auditFinSent, func(_ *Layer, c *conn) { c.sndNxt++ }, "SND.NXT 3"},
	"a shut window":                         {auditIdle, func(_ *Layer, c *conn) { c.rcvAdv = c.rcvNxt }, ""},
	"a window that ends below RCV.NXT":      {auditIdle, func(_ *Layer, c *conn) { c.rcvAdv = c.rcvNxt - 1 }, "a window of -1 bytes"},
	"as large a window as there is":         {auditIdle, func(l *Layer, c *conn) { c.rcvAdv = c.rcvNxt + uint32(l.largestWindow()) }, ""},
	"a window where memory may be as large as can be": {auditIdle, func(l *Layer, c *conn) {
		l.tun.TCPRmem.Max, c.rcvAdv = math.MaxInt32, c.rcvNxt+1<<30
	}, ""},
	"a larger window than there is":          {auditIdle, func(l *Layer, c *conn) { c.rcvAdv = c.rcvNxt + uint32(l.largestWindow()) + 1 }, "a window of"},
	"a FIN that is forgotten":                {auditIdle, func(_ *Layer, c *conn) { c.flags |= flagFinQueued }, "the FIN was never sent"},
	"a FIN that is forgotten, window shut":   {auditIdle, func(_ *Layer, c *conn) { c.flags |= flagFinQueued; c.sndWnd = 0 }, "the FIN was never sent"},
	"a FIN that the next Flush sends":        {auditIdle, func(_ *Layer, c *conn) { c.flags |= flagFinQueued | flagDirty }, ""},
	"a FIN that waits behind text":           {auditInUse, func(_ *Layer, c *conn) { c.flags |= flagFinQueued }, ""},
	"a FIN behind unsent text":               {auditShut, func(_ *Layer, c *conn) { c.flags |= flagFinQueued }, ""},
	"all that is in flight lost":             {auditInUse, func(_ *Layer, c *conn) { c.log.lost = 10 }, ""},
	"more lost than in flight":               {auditInUse, func(_ *Layer, c *conn) { c.log.lost, c.log.sacked = 5, 6 }, "6 bytes sacked, 5 lost, of 10"},
	"no congestion window":                   {auditIdle, func(_ *Layer, c *conn) { c.cwnd = 0 }, "window 0, segment 1460"},
	"no segment size":                        {auditIdle, func(_ *Layer, c *conn) { c.mss = 0 }, "segment 0"},
	"reassembly that is not counted":         {auditGap, func(l *Layer, _ *conn) { l.ooo.bytes-- }, "reassembly queues hold"},
	"memory that the pool has taken back":    {auditShut, func(_ *Layer, c *conn) { c.sq.mem++ }, "queues hold"},
	"an orphan that is not counted":          {auditOrphan, func(l *Layer, _ *conn) { l.orphans = 0 }, "1 orphans, 0 are counted"},
	"a half-open connection without a timer": {auditHalf, func(l *Layer, _ *conn) { l.timers.remove(firstHalf(l)) }, "without a timer"},
	"a half-open connection too many":        {auditHalf, func(l *Layer, _ *conn) { firstHalf(l).lst.half++ }, "3 half-open connections of a listener, 4"},
	"one in no list":                         {auditHalf, func(l *Layer, _ *conn) { l.syns.lists[0].unlink(firstHalf(l)) }, "2 of them in lists"},
	"one in a list and not in the table":     {auditHalf, func(l *Layer, _ *conn) { l.syns.len++ }, "3 of them in lists, 4 are counted"},
	"a record in TIME-WAIT under no key":     {auditWaits, func(l *Layer, _ *conn) { l.waits.oldest.key.rport++ }, "not in its table"},
	"a record that never expires":            {auditWaits, func(l *Layer, _ *conn) { l.waits.byTuple[tuple{}] = &timeWait{} }, "2 records in TIME-WAIT, 1 of them"},
	"a heap with the later one on top":       {auditThree, func(l *Layer, _ *conn) { l.timers[0].at += time.Hour }, "out of order"},
	"a later one above the last":             {auditThree, func(l *Layer, _ *conn) { l.timers[2].at = l.timers[0].at - 1 }, "out of order at 2"},
	"siblings in any order":                  {auditThree, func(l *Layer, _ *conn) { l.timers[2].at = l.timers[0].at }, ""},
	"an entry that does not know its place":  {auditThree, func(l *Layer, _ *conn) { *l.timers[1].t.heapPos() = 3 }, "out of order at 1"},
}

// TestAuditFindsWhatCannotBe: simulations and fuzzing rest on Audit, so each of
// its checks must speak when it should, and be silent about what may be.
func TestAuditFindsWhatCannotBe(t *testing.T) {
	for name, d := range damages {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			s := story(t, d.script)
			if err := s.l.Audit(); err != nil {
				t.Fatalf("before: %v", err)
			}
			d.do(s.l, s.flows[0].s.conn)
			err := s.l.Audit()
			if d.wrong == "" && err != nil || d.wrong != "" && (err == nil || !strings.Contains(err.Error(), d.wrong)) {
				t.Errorf("%v, want %q", err, d.wrong)
			}
		})
	}
}
