package hostlink

type RxFrame struct {
	Data                 []byte
	NeedsCsum, CsumValid bool
	GSOType              uint8
	GSOSize              uint16
}

type TxFrame struct {
	Buf                   []byte
	Payload               [][]byte
	NeedsCsum             bool
	CsumStart, CsumOffset uint16
	GSOType               uint8
	GSOSize, HdrLen       uint16
}

const VnetRoom = 16
