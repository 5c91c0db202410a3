package e2e

import (
	"syscall"
	"testing"
)

// The engine is killed in mid-transfer: the transfer ends with an error, the next
// one succeeds.

func TestEngineKilledCurlInside(t *testing.T) {
	onlyTCPCNI(t)
	file := makePayload(t, 64<<20)
	h := newHost(t)
	pod := h.pod()
	nginx(t, h, file.folder(t), 1<<20)
	p, got := curl(t, pod, "http://"+hostV4+"/file")
	eventually(t, "the transfer under way", func() bool { return got.size() > 1<<20 })
	pod.crash()
	if p.wait() == 0 {
		t.Errorf("curl is content with %d bytes of %d", got.size(), file.size)
	}
	pod.start("curl", "-sS", "--fail", "http://"+hostV4+"/hello").ok()
}

func TestEngineKilledServerInside(t *testing.T) {
	onlyTCPCNI(t)
	file := makePayload(t, 64<<20)
	h := newHost(t)
	pod := h.pod()
	redis(t, pod, "6379")
	web := nginx(t, pod, file.folder(t), 1<<20)
	p, got := curl(t, h, "http://"+pod.v4+"/file")
	eventually(t, "the transfer under way", func() bool { return got.size() > 1<<20 })
	pod.crash()
	if p.wait() == 0 {
		t.Errorf("curl is content with %d bytes of %d", got.size(), file.size)
	}
	h.start("curl", "-sS", "--fail", "http://"+pod.v4+"/hello").ok()
	// The servers see their connections end, and stop in order when asked.
	web.signal(syscall.SIGQUIT)
	web.wait()
}
