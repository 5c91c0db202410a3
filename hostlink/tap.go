package hostlink

// TAP devices: Documentation/networking/tuntap.rst and drivers/net/tun.c of
// Linux.

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TAPConfig names a TAP device and says how it should be.
type TAPConfig struct {
	Name    string           // 1 to 15 bytes, no '/', no white space
	NetNS   string           // path of the namespace that holds the device; "" is the current one
	MTU     int              // bytes of an IP packet, 68 to 65,521; 0 leaves it (1500 on a new device)
	MAC     net.HardwareAddr // of the kernel's side; nil leaves it (random on a new device)
	Persist bool             // the device outlives the descriptor
	AsIs    bool             // a device that is there outlives the descriptor iff it did before, a new one does not; Persist means nothing
	Up      bool             // set the device up

	// MultiQueue makes a device of several queues, or attaches to one as one more of
	// them: each descriptor is a queue. A device is of one kind or the other for its
	// life. The kernel puts a frame into the queue that last sent one of its flow.
	MultiQueue bool
}

// A TAP is one end of a virtual cable whose other end is a network device of
// the kernel. It carries super-segments and unfinished checksums both ways.
type TAP struct {
	vnetIO
	name string
}

// Bounds of a TAP's MTU: the minimum of IPv4 (RFC 791) and what tun.c accepts
// (65,535 less the Ethernet header).
const (
	minTAPMTU = 68
	maxTAPMTU = 65521
)

// Offloads that the engine can take in frames it reads, in the order in which
// they are tried: an old kernel may lack the last.
var tapOffloads = []int{
	unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN,
	unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6,
	unix.TUN_F_CSUM,
}

// OpenTAP creates the device or attaches to one that stayed (Persist) after its
// last user ended. Errors name the device; ErrBusy and ErrNameTaken can be
// told with errors.Is.
func OpenTAP(cfg TAPConfig) (*TAP, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	t := &TAP{name: cfg.Name}
	err := InNetNS(cfg.NetNS, func() error { return t.open(&cfg) })
	if err != nil {
		return nil, fmt.Errorf("tap %q: %w", cfg.Name, err)
	}
	return t, nil
}

func (cfg *TAPConfig) check() error {
	if err := checkIfname(cfg.Name); err != nil {
		return err
	}
	if cfg.MTU != 0 && (cfg.MTU < minTAPMTU || cfg.MTU > maxTAPMTU) {
		return fmt.Errorf("tap %q: mtu %d: accepted are %d to %d", cfg.Name, cfg.MTU, minTAPMTU, maxTAPMTU)
	}
	if cfg.MAC != nil && (len(cfg.MAC) != 6 || cfg.MAC[0]&1 != 0) {
		return fmt.Errorf("tap %q: mac %q: accepted are 6-byte unicast addresses", cfg.Name, cfg.MAC)
	}
	return nil
}

// checkIfname applies the kernel's dev_valid_name.
func checkIfname(name string) error {
	bad := name == "" || len(name) >= unix.IFNAMSIZ || name == "." || name == ".."
	for i := 0; i < len(name) && !bad; i++ {
		c := name[i]
		bad = c == '/' || c == ':' || c == ' ' || c >= '\t' && c <= '\r'
	}
	if bad {
		return fmt.Errorf("interface name %q: accepted are 1 to %d bytes without '/', ':' and white space", name, unix.IFNAMSIZ-1)
	}
	return nil
}

func (t *TAP) open(cfg *TAPConfig) (err error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err := attachTAP(fd, cfg); err != nil {
		return err
	}
	if err := setTAPModes(fd, cfg); err != nil {
		return err
	}
	if err := configureDevice(cfg); err != nil {
		return err
	}
	t.init(fd)
	return nil
}

func attachTAP(fd int, cfg *TAPConfig) error {
	ifr, err := unix.NewIfreq(cfg.Name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if cfg.MultiQueue {
		flags |= unix.IFF_MULTI_QUEUE
	}
	ifr.SetUint16(flags)
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("attach: %w", ErrBusy)
	case errors.Is(err, unix.EINVAL):
		// TUNSETIFF says EINVAL when the name is a veth, a TUN, a TAP of several
		// queues where one is asked for, or the reverse.
		return fmt.Errorf("attach: %w", ErrNameTaken)
	case err != nil:
		return fmt.Errorf("attach: %w", err)
	}
	return nil
}

func setTAPModes(fd int, cfg *TAPConfig) error {
	var size int32 = vnetLen
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETVNETHDRSZ, uintptr(unsafe.Pointer(&size))); e != 0 {
		return os.NewSyscallError("TUNSETVNETHDRSZ", e)
	}
	var err error
	for _, set := range tapOffloads {
		if err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, set); err == nil {
			break
		}
	}
	if err != nil {
		return os.NewSyscallError("TUNSETOFFLOAD", err)
	}
	if cfg.AsIs {
		return nil
	}
	on := 0
	if cfg.Persist {
		on = 1
	}
	return os.NewSyscallError("TUNSETPERSIST", unix.IoctlSetInt(fd, unix.TUNSETPERSIST, on))
}

// configureDevice sets what cfg asks of the kernel's side, in the current
// namespace.
func configureDevice(cfg *TAPConfig) error {
	dev, err := netlink.LinkByName(cfg.Name)
	if err != nil {
		return err
	}
	if cfg.MTU != 0 && dev.Attrs().MTU != cfg.MTU {
		if err := netlink.LinkSetMTU(dev, cfg.MTU); err != nil {
			return fmt.Errorf("mtu %d: %w", cfg.MTU, err)
		}
	}
	if cfg.MAC != nil && dev.Attrs().HardwareAddr.String() != cfg.MAC.String() {
		if err := netlink.LinkSetHardwareAddr(dev, cfg.MAC); err != nil {
			return fmt.Errorf("mac %s: %w", cfg.MAC, err)
		}
	}
	if cfg.Up {
		return netlink.LinkSetUp(dev)
	}
	return nil
}

// EnableQueue says whether the kernel puts frames into this queue of a device of
// several; it always takes what is sent by it. What waits in a queue that is
// disabled is lost. ErrQueue: it is so already, or the device has one queue only.
func (t *TAP) EnableQueue(on bool) error {
	ifr, err := unix.NewIfreq(t.name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_DETACH_QUEUE)
	if on {
		flags = unix.IFF_ATTACH_QUEUE
	}
	ifr.SetUint16(flags)
	err = unix.IoctlIfreq(t.fd, unix.TUNSETQUEUE, ifr)
	if errors.Is(err, unix.EINVAL) {
		return ErrQueue
	}
	return os.NewSyscallError("TUNSETQUEUE", err)
}

// Name returns the device's name at the time of opening.
func (t *TAP) Name() string { return t.name }

// ReadFrame implements Link.
func (t *TAP) ReadFrame(buf []byte) (RxFrame, error) {
	f, e := t.read(buf)
	switch e {
	case 0:
		return f, nil
	case unix.EAGAIN, unix.EINTR:
		return RxFrame{}, ErrAgain
	case unix.EBADFD: // the device was deleted under the descriptor
		return RxFrame{}, ErrGone
	}
	t.stats.RxErrors++
	return RxFrame{}, fmt.Errorf("tap %q: read: %w", t.name, e)
}

// Transmit implements Link.
func (t *TAP) Transmit(f *TxFrame) { t.write(f) }

// Close detaches from the device; one that is not persistent goes with it.
func (t *TAP) Close() error { return unix.Close(t.fd) }

// DeleteTAP removes the device called name from the namespace. A device that is
// not there is no error; one of another kind is ErrNameTaken.
func DeleteTAP(name, netNS string) error {
	err := InNetNS(netNS, func() error {
		dev, err := netlink.LinkByName(name)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil
		}
		if err != nil {
			return err
		}
		if dev.Type() != "tuntap" {
			return fmt.Errorf("%w (%s)", ErrNameTaken, dev.Type())
		}
		return netlink.LinkDel(dev)
	})
	if err != nil {
		return fmt.Errorf("delete tap %q: %w", name, err)
	}
	return nil
}

// TAPUp reports whether the device of a TAP descriptor is up (IFF_UP): poll(2)
// shows POLLOUT for one that is, whose queue has no bound.
func TAPUp(fd int) bool {
	got, e := PollNow(fd, unix.POLLOUT)
	return e == 0 && got&unix.POLLOUT != 0
}
