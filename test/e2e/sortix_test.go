package e2e

import "testing"

// TestSortixPoll: poll(2) of a socket that is shut for writing, in a sandbox that
// has profile sortix, also by the engine that follows one that died.
func TestSortixPoll(t *testing.T) {
	onlyTCPCNI(t)
	program := compileC(t, "sortixpoll")
	h := newHost(t)
	pod := h.pod("--profile", "sortix")
	if got := pod.start(program).ok(); got != "" {
		t.Error(got)
	}
	pod.crash()
	if got := pod.start(program).ok(); got != "" {
		t.Error(got)
	}
	pod.stop()
	if _, p := h.run([]string{"--profile", "sortix"}, program); p.ok() != "" {
		t.Error("tcpcni run: another result than tcpcni exec")
	}
}
