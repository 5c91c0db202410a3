package tcp

// Parameters of congestion control by name: what FreeBSD's TCP_CCALGOOPT sets
// (mod_cc(4), cc_newreno(4), cc_htcp(4), cc_vegas(4), cc_cdg(4)). The rows stand
// with the algorithms that they belong to.

import (
	"fmt"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// A CongestionParam describes one parameter of one algorithm. Values are whole
// numbers from Min to Max in Unit; a flag is 0 or 1.
type CongestionParam struct {
	Name              string
	Unit              string // "percent", "segments", "flag", …
	Min, Max, Default int64
	Doc               string
}

// A ccParam is a row: the description and where the value is kept, a pointer to
// uint8, uint32 or bool in the algorithm's own struct.
type ccParam struct {
	CongestionParam
	field func(congestion) any
}

// A CongestionParamError tells why a parameter was not set or read. It is EINVAL
// for a value out of range, ENOENT for a name that the algorithm does not know.
type CongestionParamError struct {
	Algorithm, Name string
	Value           int64
	Param           *CongestionParam // nil: no such name
}

func (e *CongestionParamError) Error() string {
	if e.Param == nil {
		return fmt.Sprintf("congestion control %s has no parameter %q", e.Algorithm, e.Name)
	}
	return fmt.Sprintf("congestion control %s: parameter %s: value %d; accepted: %d to %d %s",
		e.Algorithm, e.Name, e.Value, e.Param.Min, e.Param.Max, e.Param.Unit)
}

// Unwrap makes errors.Is find the errno.
func (e *CongestionParamError) Unwrap() error {
	if e.Param == nil {
		return errno.ENOENT
	}
	return errno.EINVAL
}

// CongestionParams lists the parameters of an algorithm, nil if there is none of
// that name.
func CongestionParams(algorithm string) []CongestionParam {
	var list []CongestionParam
	if i := congestionByName(algorithm); i != nil {
		for _, p := range i.params {
			list = append(list, p.CongestionParam)
		}
	}
	return list
}

// ccSetting is a parameter that a program set before there was a connection.
type ccSetting struct {
	row   *ccParam
	value int64
}

func (i *ccInfo) param(name string) (*ccParam, error) {
	for k := range i.params {
		if i.params[k].Name == name {
			return &i.params[k], nil
		}
	}
	return nil, &CongestionParamError{Algorithm: i.name, Name: name}
}

func (p *ccParam) set(a congestion, v int64) {
	switch f := p.field(a).(type) {
	case *uint8:
		*f = uint8(v)
	case *uint32:
		*f = uint32(v)
	case *bool:
		*f = v != 0
	}
}

func (p *ccParam) get(a congestion) int64 {
	switch f := p.field(a).(type) {
	case *uint8:
		return int64(*f)
	case *uint32:
		return int64(*f)
	case *bool:
		if *f {
			return 1
		}
	}
	return 0
}

// congestionInfo is the row of the algorithm that the socket uses or will use.
func (s *Socket) congestionInfo() *ccInfo {
	if s.conn != nil {
		return s.conn.cc.info()
	}
	if i := congestionByName(s.opts.Congestion); i != nil {
		return i
	}
	return congestions[0]
}

// SetCongestionParam sets a parameter of the socket's congestion control. It
// holds until another algorithm is chosen, and is not inherited from listeners.
// The error is a *CongestionParamError, with ENOENT or EINVAL below it.
func (s *Socket) SetCongestionParam(name string, value int64) error {
	i := s.congestionInfo()
	p, err := i.param(name)
	if err != nil {
		return err
	}
	if value < p.Min || value > p.Max {
		return &CongestionParamError{i.name, name, value, &p.CongestionParam}
	}
	if s.conn != nil {
		p.set(s.conn.cc, value)
		return nil
	}
	if s.ccSettings == nil {
		s.ccSettings = new([]ccSetting)
	}
	list := slices.DeleteFunc(*s.ccSettings, func(set ccSetting) bool { return set.row == p })
	*s.ccSettings = append(list, ccSetting{p, value})
	return nil
}

// CongestionParam is the value of a parameter of the socket's congestion control.
// The error is as with SetCongestionParam.
func (s *Socket) CongestionParam(name string) (int64, error) {
	p, err := s.congestionInfo().param(name)
	if err != nil {
		return 0, err
	}
	if s.conn != nil {
		return p.get(s.conn.cc), nil
	}
	if s.ccSettings != nil {
		for _, set := range *s.ccSettings {
			if set.row == p {
				return set.value, nil
			}
		}
	}
	return p.Default, nil
}

// congestionFor makes the algorithm for a connection of s, with what was set
// beforehand.
func (s *Socket) congestionFor(name string) congestion {
	a := newCongestion(name)
	if s.ccSettings == nil {
		return a
	}
	for _, set := range *s.ccSettings {
		if own, err := a.info().param(set.row.Name); err == nil && own == set.row {
			own.set(a, set.value)
		}
	}
	s.ccSettings = nil
	return a
}
