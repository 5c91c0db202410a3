package plugin

// What an attachment leaves on disk: $TCPCNI_STATE/sandboxes/ID-IFNAME/.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// StateEnv names the environment variable that moves the state directory.
const StateEnv = "TCPCNI_STATE"

const defaultStateDir = "/run/tcpcni"

// StateDir returns the absolute path of the state directory.
func StateDir() (string, error) {
	dir := os.Getenv(StateEnv)
	if dir == "" {
		return defaultStateDir, nil
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%s: %q: accepted: an absolute path", StateEnv, dir)
	}
	return filepath.Clean(dir), nil
}

// Names of an attachment's files.
const (
	recordFile  = "attachment.json"
	configFile  = "config.json"
	controlFile = "control.sock"
	idFile      = "engine.id"  // process.ID of the engine
	pidFile     = "engine.pid" // its number alone, for people and scripts
	logFile     = "engine.log"
	netNSFile   = "netns" // of a chained uplink: the engine's network namespace
)

// Directories of the state directory.
const (
	sandboxesDir = "sandboxes"
	locksDir     = "locks" // of what attachments share
)

// lockPatience bounds the wait for another verb on the same attachment; the
// longest, an ADD, is bounded itself.
const lockPatience = 30 * time.Second

// A Sandbox is the place of one attachment in the state directory. It may or
// may not exist on disk.
type Sandbox struct {
	ContainerID, IfName string
	Dir                 string
}

// SandboxAt names the attachment's place below the state directory.
func SandboxAt(stateDir, containerID, ifname string) Sandbox {
	name := containerID + "-" + ifname
	dir := func(longest int) string {
		if len(name) <= longest {
			return filepath.Join(stateDir, sandboxesDir, name)
		}
		return filepath.Join(stateDir, sandboxesDir, name[:longest-17]+"-"+digest(containerID, ifname)[:16])
	}
	// In the usual state directory the paths of the sockets have room for names of
	// 71 bytes. nerdctl's are longer: NAMESPACE-ID-eth0 with an ID of 64.
	const longest, earlier = 71, 217
	if _, err := os.Stat(dir(earlier)); len(name) > longest && err == nil {
		return Sandbox{containerID, ifname, dir(earlier)} // an earlier release's, in a shorter state directory
	}
	return Sandbox{containerID, ifname, dir(longest)}
}

// Sandboxes lists the attachments that have a record in the state directory.
func Sandboxes(stateDir string) ([]Sandbox, error) {
	dirs, err := os.ReadDir(filepath.Join(stateDir, sandboxesDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Sandbox
	for _, d := range dirs {
		s := Sandbox{Dir: filepath.Join(stateDir, sandboxesDir, d.Name())}
		if r, err := s.Record(); err == nil {
			s.ContainerID, s.IfName = r.ContainerID, r.IfName
			list = append(list, s)
		}
	}
	return list, nil
}

// ControlPath is where the engine listens.
func (s Sandbox) ControlPath() string { return filepath.Join(s.Dir, controlFile) }

// LogPath is where the engine's messages go.
func (s Sandbox) LogPath() string { return filepath.Join(s.Dir, logFile) }

// checkControlPath refuses a socket path that sockaddr_un has no room for (unix(7)),
// which a long TCPCNI_STATE may cause.
func (s Sandbox) checkControlPath() error {
	const longest = 107
	for _, path := range []string{s.ControlPath(), s.ListenerPath()} {
		if n := len(path); n > longest {
			return fmt.Errorf("%s: the socket's path %q has %d bytes: accepted: up to %d; use a shorter directory", StateEnv, path, n, longest)
		}
	}
	return nil
}

func (s Sandbox) configPath() string { return filepath.Join(s.Dir, configFile) }

// Engine returns the identity of the attachment's engine process.
func (s Sandbox) Engine() (process.ID, error) {
	return process.ReadID(filepath.Join(s.Dir, idFile))
}

func (s Sandbox) writeIdentity(id process.ID) error {
	return errors.Join(
		id.WriteFile(filepath.Join(s.Dir, idFile)),
		process.WriteFile(filepath.Join(s.Dir, pidFile), fmt.Appendln(nil, id.PID), 0o644),
	)
}

// stateDir is the state directory that the sandbox is in.
func (s Sandbox) stateDir() string { return filepath.Dir(filepath.Dir(s.Dir)) }

// lock keeps other verbs off the attachment until the returned lock is given
// back.
func (s Sandbox) lock() (*process.FileLock, error) {
	if err := os.MkdirAll(filepath.Dir(s.Dir), 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	return process.Lock(ctx, s.lockPath())
}

// unlock gives the attachment's lock back. Its file stays with the attachment and
// goes with it.
func (s Sandbox) unlock(l *process.FileLock) error {
	if _, err := os.Stat(s.Dir); errors.Is(err, os.ErrNotExist) {
		return l.Remove()
	}
	return l.Unlock()
}

// lockPath is beside the directory. A container ID cannot start with a dot, so no
// attachment has this name.
func (s Sandbox) lockPath() string {
	return filepath.Join(filepath.Dir(s.Dir), "."+filepath.Base(s.Dir)+".lock")
}

// A Record is what DEL, CHECK and listings need to know of an attachment and
// cannot find elsewhere once the namespace is gone.
type Record struct {
	Network     string         `json:"network"`
	ContainerID string         `json:"containerID"`
	IfName      string         `json:"ifname"`
	NetNS       string         `json:"netns"` // path, as ADD got it
	Uplink      string         `json:"uplink"`
	Bridge      string         `json:"bridge,omitempty"`
	VLAN        int            `json:"vlan,omitempty"`
	Hairpin     bool           `json:"hairpin,omitempty"`
	Device      string         `json:"device"` // the uplink: a TAP, or the moved device
	MTU         int            `json:"mtu"`    // bytes of an IP packet
	MAC         string         `json:"mac"`    // of the sandbox
	IPMasq      bool           `json:"ipMasq"`
	MasqBackend string         `json:"ipMasqBackend,omitempty"` // valid iff IPMasq
	Profile     string         `json:"profile"`
	Addrs       []netip.Prefix `json:"addrs"`               // with the prefix of the subnet
	Moved       *moved         `json:"moved,omitempty"`     // valid iff Uplink is UplinkChained
	Intercept   string         `json:"intercept,omitempty"` // Config.Intercept
}

// Record reads the attachment's record.
func (s Sandbox) Record() (*Record, error) {
	b, err := os.ReadFile(filepath.Join(s.Dir, recordFile))
	if err != nil {
		return nil, err
	}
	r := new(Record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(s.Dir, recordFile), err)
	}
	return r, nil
}

func (s Sandbox) writeJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return process.WriteFile(filepath.Join(s.Dir, file), append(b, '\n'), 0o600)
}

// digest is a hash of strings that does not take one list for another.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// uplinkName names the uplink TAP: the same for each verb, different for each
// attachment, within the 15 bytes of an interface name.
func uplinkName(containerID, ifname string) string {
	return "tcp" + digest("uplink", containerID, ifname)[:12]
}

// derivedMAC is a locally administered unicast address (IEEE 802, section
// 8.4), stable for what the parts name.
func derivedMAC(parts ...string) net.HardwareAddr {
	b, _ := hex.DecodeString(digest(append([]string{"mac"}, parts...)...)[:12])
	b[0] = b[0]&^1 | 2
	return b
}

// prefixes converts what the CNI types hold.
func prefix(n net.IPNet) (netip.Prefix, error) {
	a, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}, fmt.Errorf("%q: accepted: an address with a prefix length", n.String())
	}
	a = a.Unmap()
	if a.Is4() && bits == 128 {
		ones -= 96
	}
	p := netip.PrefixFrom(a, ones)
	if !p.IsValid() {
		return netip.Prefix{}, fmt.Errorf("%q: accepted: an address with a prefix length", n.String())
	}
	return p, nil
}

// ipNet is the inverse of prefix.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
