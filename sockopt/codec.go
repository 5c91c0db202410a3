package sockopt

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Sizes of the C types, in bytes.
const (
	sizeofInt     = 4
	sizeofLinger  = 8
	sizeofTimeval = 16

	sizeofKeepAlive = 8 // struct t_kpalive of XTI
)

// decodeInt reads an int as the codec allows it to be passed.
func decodeInt(codec Codec, val []byte) (int, error) {
	if len(val) >= sizeofInt && (codec == UintMillis || codec == Uint) {
		return int(binary.NativeEndian.Uint32(val)), nil
	}
	if len(val) >= sizeofInt {
		return int(int32(binary.NativeEndian.Uint32(val))), nil
	}
	if codec != IntOrByte && codec != BoolOrByte {
		return 0, errno.EINVAL
	}
	if len(val) == 0 {
		return 0, nil
	}
	return int(val[0]), nil
}

// encodeInt writes an int, cut to what the caller has room for. At level
// IPPROTO_IP a small value fits a buffer shorter than an int as one byte.
func encodeInt(codec Codec, v, maxLen int) []byte {
	if (codec == IntOrByte || codec == BoolOrByte) && maxLen < sizeofInt && maxLen > 0 && v >= 0 && v <= math.MaxUint8 {
		return []byte{byte(v)}
	}
	return cut(binary.NativeEndian.AppendUint32(nil, uint32(v)), maxLen)
}

func cut(b []byte, maxLen int) []byte {
	return b[:min(len(b), maxLen)]
}

// decodeLinger reads struct linger. Linux takes a negative time for a very long
// one, which is what the largest value is here.
func decodeLinger(val []byte, old LingerSetting) (LingerSetting, error) {
	if len(val) < sizeofLinger {
		return old, errno.EINVAL
	}
	if binary.NativeEndian.Uint32(val) == 0 {
		old.On = false // the time stays and can still be read
		return old, nil
	}
	seconds := int32(binary.NativeEndian.Uint32(val[4:]))
	if seconds < 0 {
		seconds = math.MaxInt32
	}
	return LingerSetting{On: true, Seconds: seconds}, nil
}

func appendLinger(b []byte, l LingerSetting) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(truth(l.On)))
	return binary.NativeEndian.AppendUint32(b, uint32(l.Seconds))
}

// decodeTimeout reads the struct timeval of SO_RCVTIMEO: zero is no limit, a
// time in the past is one that has already run out.
func decodeTimeout(val []byte) (time.Duration, error) {
	if len(val) < sizeofTimeval {
		return 0, errno.EINVAL
	}
	sec := int64(binary.NativeEndian.Uint64(val))
	usec := int64(binary.NativeEndian.Uint64(val[8:]))
	switch {
	case usec < 0 || usec >= 1_000_000:
		return 0, errno.EDOM
	case sec < 0:
		return -1, nil
	case sec >= int64(math.MaxInt64/time.Second)-1:
		return 0, nil // longer than a clock can say is no limit
	}
	return time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond, nil
}

func appendTimeout(b []byte, d time.Duration) []byte {
	d = max(d, 0)
	b = binary.NativeEndian.AppendUint64(b, uint64(d/time.Second))
	return binary.NativeEndian.AppendUint64(b, uint64(d%time.Second/time.Microsecond))
}

// text reads a name that may or may not end in a zero byte.
func text(val []byte) string {
	for i, c := range val {
		if c == 0 {
			return string(val[:i])
		}
	}
	return string(val)
}
