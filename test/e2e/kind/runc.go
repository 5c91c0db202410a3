package main

// The runtime that dockerd is given. Nodes run with all privileges, and runc
// fails when the machine's own bounding set lacks one of them, as some virtual
// machines' do; so what the machine does not have is taken out of the request.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// capabilityNames in the order of their numbers, linux/capability.h.
var capabilityNames = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
	SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
	SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
	SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
	BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// runc changes the file that --bundle or --process names and becomes the runc
// of the cache, which the laboratory's folder links to.
func runc(args []string) error {
	for i, a := range args[:max(len(args)-1, 0)] {
		var err error
		switch a {
		case "--bundle", "-b":
			err = dropMissing(filepath.Join(args[i+1], "config.json"), "process")
		case "--process", "-p":
			err = dropMissing(args[i+1])
		}
		if err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path := filepath.Join(filepath.Dir(self), "bin", "runc")
	return syscall.Exec(path, append([]string{path}, args...), os.Environ())
}

// dropMissing rewrites the capabilities of the process found below keys in a
// JSON file.
func dropMissing(file string, keys ...string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	process := doc
	for _, k := range keys {
		process, _ = process[k].(map[string]any)
	}
	sets, _ := process["capabilities"].(map[string]any)
	if sets == nil {
		return nil
	}
	missing, err := missingCapabilities()
	if err != nil {
		return err
	}
	for name, set := range sets {
		list, _ := set.([]any)
		sets[name] = slices.DeleteFunc(list, func(c any) bool { s, _ := c.(string); return slices.Contains(missing, s) })
	}
	if b, err = json.Marshal(doc); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

func missingCapabilities() ([]string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(status)) {
		text, ok := strings.CutPrefix(line, "CapBnd:")
		if !ok {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		var missing []string
		for n, name := range capabilityNames {
			if set&(1<<n) == 0 {
				missing = append(missing, "CAP_"+name)
			}
		}
		return missing, err
	}
	return nil, fmt.Errorf("/proc/self/status names no bounding set")
}
