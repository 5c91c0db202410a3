package hostlink

import "time"

// The epoch lies an hour back, so that no instant is zero or negative and "not
// set" cannot be mistaken for a time.
var epoch = time.Now().Add(-time.Hour)

// Now returns the current instant on a monotonic clock, in nanoseconds since an
// arbitrary start that all users in one process share. It is always positive.
func Now() time.Duration { return time.Since(epoch) }

// WallClock is the time of day, as nanoseconds since 1970 in UTC.
func WallClock() int64 { return time.Now().UnixNano() }
