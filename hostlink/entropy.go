package hostlink

import "crypto/rand"

// Entropy fills b from the kernel's random number generator. It cannot fail:
// a system without entropy ends the process (crypto/rand.Read, Go 1.24).
func Entropy(b []byte) { _, _ = rand.Read(b) }
