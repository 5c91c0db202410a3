package e2e

import "testing"

// TestIllumosOptions: a C program that was compiled on Linux meets the options of
// illumos and OmniOS in sandboxes of those profiles.
func TestIllumosOptions(t *testing.T) {
	onlyTCPCNI(t)
	program := compileC(t, "illumos")
	for _, profile := range []string{"illumos", "omnios"} {
		t.Run(profile, func(t *testing.T) {
			h := newHost(t)
			_, p := h.run([]string{"--profile", profile}, program)
			if out := p.ok(); out != "" {
				t.Errorf("%s", out)
			}
		})
	}
}
