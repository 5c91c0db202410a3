package main

// The network configuration list of `run`: CNI specification 1.1.0, section 1.

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/plugin"
)

//go:embed default.conflist
var defaultConflist []byte

// pluginType is the name under which a list refers to this program.
const pluginType = "tcpcni"

// Edits are what the command line changes in the list's tcpcni entry.
type edits struct {
	profile string
	set     []string // TUNABLE=VALUE
	pcap    string
	impair  string
	shards  string // "" is as the list has it
}

// loadConflist reads the list at path, "" for the embedded one, and applies the
// edits. Leases of the embedded network live below the state directory, so that
// they end with the machine's uptime as everything else of it does.
func loadConflist(path, stateDir string, e *edits) (*libcni.NetworkConfigList, error) {
	data := defaultConflist
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("--conf: %w", err)
		}
	}
	data, err := editConflist(data, e, func(entry []byte) ([]byte, error) {
		if path != "" {
			return entry, nil
		}
		return plugin.WithLeases(entry, filepath.Join(stateDir, "ipam"))
	})
	if err != nil {
		return nil, confError(path, err)
	}
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil {
		return nil, confError(path, err)
	}
	if known := plugin.Versions.SupportedVersions(); !slices.Contains(known, list.CNIVersion) {
		return nil, confError(path, fmt.Errorf("cniVersion: %q: accepted: %s", list.CNIVersion, strings.Join(known, ", ")))
	}
	return list, nil
}

// findPlugins asks for every plugin of the list to be there: an ADD that fails
// in the middle could not be taken back without the missing one either.
func findPlugins(list *libcni.NetworkConfigList, dirs []string) error {
	for i, p := range list.Plugins {
		if _, err := invoke.FindInPath(p.Network.Type, dirs); err != nil {
			return fmt.Errorf("plugins[%d].type: %q: accepted: a plugin found beside tcpcni or in CNI_PATH: %w", i, p.Network.Type, err)
		}
	}
	return nil
}

func confError(path string, err error) error {
	if path == "" {
		return err
	}
	return fmt.Errorf("--conf %s: %w", path, err)
}

// editConflist applies the edits and then finish to the list's first tcpcni
// entry, and has the result checked before anything is set up by it.
func editConflist(data []byte, e *edits, finish func([]byte) ([]byte, error)) ([]byte, error) {
	var list map[string]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w: accepted: a CNI network configuration list", err)
	}
	var plugins []json.RawMessage
	if err := json.Unmarshal(list["plugins"], &plugins); err != nil || len(plugins) == 0 {
		return nil, errors.New("plugins: missing or no list: accepted: a CNI network configuration list")
	}
	var types []string
	for i, raw := range plugins {
		var entry map[string]json.RawMessage
		if err := json.Unmarshal(raw, &entry); err != nil {
			return nil, fmt.Errorf("plugins[%d]: not an object: accepted: a plugin's configuration", i)
		}
		if string(entry["type"]) != fmt.Sprintf("%q", pluginType) {
			types = append(types, string(entry["type"]))
			continue
		}
		// The file's own values are judged first: an edit must not hide a
		// duplicate or misspelt key.
		if _, err := plugin.ParseConfig(raw); err != nil {
			return nil, fmt.Errorf("plugins[%d].%w", i, err)
		}
		if err := e.apply(entry); err != nil {
			return nil, err
		}
		edited, err := json.Marshal(entry)
		if err != nil {
			return nil, err
		}
		if _, err := plugin.ParseConfig(edited); err != nil {
			return nil, err
		}
		if plugins[i], err = finish(edited); err != nil {
			return nil, err
		}
		if list["plugins"], err = json.Marshal(plugins); err != nil {
			return nil, err
		}
		return json.Marshal(list)
	}
	return nil, fmt.Errorf("plugins: types %s: accepted: a list with an entry of type %q", strings.Join(types, ", "), pluginType)
}

func (e *edits) apply(entry map[string]json.RawMessage) error {
	put := func(key string, v any) error {
		b, err := json.Marshal(v)
		entry[key] = b
		return err
	}
	var err error
	if e.profile != "" {
		err = errors.Join(err, put("profile", e.profile))
	}
	if e.impair != "" {
		err = errors.Join(err, put("impair", e.impair))
	}
	if e.shards != "" {
		n, nerr := strconv.Atoi(e.shards)
		if nerr != nil {
			return fmt.Errorf("--shards: %q: accepted: an integer from 1 to %d", e.shards, engine.MaxShards)
		}
		err = errors.Join(err, put("shards", n))
	}
	if e.pcap != "" {
		abs, aerr := filepath.Abs(e.pcap)
		err = errors.Join(err, aerr, put("pcap", abs))
	}
	if err != nil || len(e.set) == 0 {
		return err
	}
	tunables := make(map[string]any)
	if raw, ok := entry["tunables"]; ok {
		if err := json.Unmarshal(raw, &tunables); err != nil {
			return fmt.Errorf("tunables: %w", err)
		}
	}
	for _, s := range e.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return fmt.Errorf("--set: %q: accepted: TUNABLE=VALUE", s)
		}
		tunables[name] = value
	}
	return put("tunables", tunables)
}
