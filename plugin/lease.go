package plugin

// Leases of host-local that nobody owns. host-local implements no GC of its own
// (plugins/ipam/host-local/main.go of github.com/containernetworking/plugins), so
// this is done for it, with its own lock and in its own format: a file named by
// the address, with the container ID and the interface on two lines.

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/disk"
)

// defaultLeases is where host-local keeps its leases.
const defaultLeases = "/var/lib/cni/networks"

// collectLeases removes the network's leases of attachments that are not valid.
func collectLeases(c *Config, data []byte, valid map[types.GCAttachment]bool) (err error) {
	if c.IPAMType != hostLocal {
		return nil
	}
	if data, err = ipamConfig(c, data); err != nil {
		return err
	}
	var conf struct {
		IPAM struct {
			DataDir string `json:"dataDir"`
		} `json:"ipam"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return err
	}
	root := conf.IPAM.DataDir
	if root == "" {
		root = defaultLeases
	}
	dir := filepath.Join(root, c.Name)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil // no lease was ever given; New would make the directory
	}
	store, err := disk.New(c.Name, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.Lock(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Unlock()) }()
	return removeLeases(dir, valid)
}

func removeLeases(dir string, valid map[types.GCAttachment]bool) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ids := make(map[string]bool) // of valid attachments, whatever their interface
	for a := range valid {
		ids[a.ContainerID] = true
	}
	for _, f := range files {
		if _, perr := netip.ParseAddr(f.Name()); perr != nil || !f.Type().IsRegular() {
			continue // the lock, and where the next search starts
		}
		b, rerr := os.ReadFile(filepath.Join(dir, f.Name()))
		if rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		id, ifname, both := strings.Cut(strings.TrimSpace(string(b)), disk.LineBreak)
		// Early versions wrote the ID alone.
		owned := valid[types.GCAttachment{ContainerID: id, IfName: ifname}] || !both && ids[id]
		if !owned {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return err
}
