package tcp

// Keys as the options of a socket hand them in and out: sockopt.Signer.

import (
	"net/netip"
	"slices"

	"github.com/tcpcni/tcpcni/sockopt"
)

var _ sockopt.Signer = (*Socket)(nil)

// AddTCPAOKey is AddAOKey.
func (s *Socket) AddTCPAOKey(k sockopt.AOKey) error { return s.AddAOKey(AOKey(k)) }

// TCPAO is how the connection is signed; ok is false when it is not signed by
// TCP-AO.
func (s *Socket) TCPAO() (info sockopt.AOInfo, ok bool) {
	a := s.ao()
	if a == nil {
		return info, false
	}
	info.Current, info.Next, _ = s.AOKeys()
	info.Good, info.Bad, info.KeyNotFound, info.Required = a.good, a.bad, a.keyNotFound, a.missing
	return info, true
}

// AOKeyStates are the keys of the connection, or of a socket without one those that
// it was given. The bytes are not to be changed.
func (s *Socket) AOKeyStates() (list []sockopt.AOKeyState) {
	if a := s.ao(); a != nil {
		for _, t := range a.keys {
			list = append(list, sockopt.AOKeyState{
				AOKey: sockopt.AOKey(t.key.AOKey), Current: t == a.current, Next: t == a.next, Good: t.good, Bad: t.bad,
			})
		}
		return list
	}
	if s.keys != nil {
		for _, k := range s.keys.ao {
			list = append(list, sockopt.AOKeyState{AOKey: sockopt.AOKey(k.AOKey)})
		}
	}
	return list
}

// SigningKeys are the keys that the socket was given, in their order. The bytes
// are not to be changed.
func (s *Socket) SigningKeys() (md5 []sockopt.MD5Key, ao []sockopt.AOKey) {
	if s.keys == nil {
		return nil, nil
	}
	for _, k := range s.keys.md5 {
		md5 = append(md5, sockopt.MD5Key{Peers: k.peers, Key: k.auth.md5})
	}
	for _, k := range s.keys.ao {
		ao = append(ao, sockopt.AOKey(k.AOKey))
	}
	return md5, ao
}

// CopyKeys gives s the keys of another socket, whose place it takes.
func (s *Socket) CopyKeys(from *Socket) {
	if from.keys != nil {
		s.keys = &keyring{md5: slices.Clone(from.keys.md5), ao: slices.Clone(from.keys.ao)}
	}
}

// SignsTo reports whether a peer at addr has to sign, or cannot be told from one
// that has to.
func (s *Socket) SignsTo(addr netip.Addr) bool {
	return s.opts.Rare().MD5Sig || s.keys.auth(addr.Unmap()) != nil
}
