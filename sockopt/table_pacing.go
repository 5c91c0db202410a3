package sockopt

import (
	"encoding/binary"
	"math"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// pacingRows has SO_MAX_PACING_RATE (socket(7)): an unsigned int, or an unsigned
// long where it is passed as one. The largest value of either is no limit.
var pacingRows = at(SolSocket, AnySocket, []Row{
	{ID: MaxPacingRate, Name: "SO_MAX_PACING_RATE", Number: 47, Codec: Struct, Unit: "bytes per second", Default: "4294967295",
		setBytes: setMaxPacing, getBytes: getMaxPacing,
		Note: "unsigned, of 4 or 8 bytes, with all bits for none; a TCP connection with a limit is paced; on UDP it is kept, as on Linux without a queueing discipline that paces"},
})

const sizeofLong = 8

func setMaxPacing(c *call, val []byte) error {
	if len(val) < sizeofInt {
		return errno.EINVAL
	}
	rate := uint64(nativeInt(val))
	if rate == math.MaxUint32 {
		rate = math.MaxUint64
	}
	if len(val) >= sizeofLong {
		rate = binary.NativeEndian.Uint64(val)
	}
	c.o.SetRare(func(r *Rare) { r.MaxPacing = rate + 1 })
	return nil
}

func getMaxPacing(c *call, b []byte, maxLen int) ([]byte, error) {
	rate := c.o.MaxPacing()
	if maxLen >= sizeofLong {
		return binary.NativeEndian.AppendUint64(b, rate), nil
	}
	return binary.NativeEndian.AppendUint32(b, uint32(min(rate, math.MaxUint32))), nil
}

// MaxPacing is how many bytes a second leave at most; the largest number is any.
func (o *Options) MaxPacing() uint64 { return o.Rare().MaxPacing - 1 }
