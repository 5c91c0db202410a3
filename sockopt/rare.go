package sockopt

// Rare are the settings that few sockets have. They hang behind a pointer, so
// that a socket without them pays for the pointer only. A Rare never changes
// once it is in use: setting one makes another, so copies of Options may share
// it.
type Rare struct {
	PortMin, PortMax uint16 // IP_LOCAL_PORT_RANGE; 0: as the tunable says
	MD5Sig           bool   // segments are signed by the association database; see MD5SigRow
}

var noRare Rare

// Rare are the settings that few sockets have; they must not be written to.
func (o *Options) Rare() *Rare {
	if o.rare == nil {
		return &noRare
	}
	return o.rare
}

// SetRare changes them by f.
func (o *Options) SetRare(f func(*Rare)) {
	r := *o.Rare()
	f(&r)
	if r == noRare {
		o.rare = nil
		return
	}
	o.rare = &r
}
