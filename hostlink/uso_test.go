package hostlink

import "testing"

func TestReleaseAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"6.2.0": true, "6.2": true, "6.18.44-fc": true, "7.0.0-rc1": true, "10.0": true,
		"6.1.999": false, "5.15.0-91-generic": false, "6": false, "": false, "x.9": false, "6.x": false, ".9": false,
		"99999999999999999999.9": false,
	} {
		if got := releaseAtLeast(release, 6, 2); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
