package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// sshd starts OpenSSH's server with keys and settings of its own, and returns
// the options that let a client log in as root.
func sshd(t *testing.T, where place) []string {
	t.Helper()
	// The server refuses to start without its empty folder, which Debian's
	// service makes.
	if _, err := os.Stat("/run/sshd"); err != nil {
		must(t, os.Mkdir("/run/sshd", 0o755))
		t.Cleanup(func() { _ = os.Remove("/run/sshd") })
	}
	dir := t.TempDir()
	sh(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/host")
	sh(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/user")
	conf := fmt.Sprintf(`
Port 2222
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/user.pub
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
TCPKeepAlive yes
Subsystem sftp internal-sftp
`, dir)
	must(t, os.WriteFile(dir+"/sshd_config", []byte(conf), 0o600))
	p := where.start("/usr/sbin/sshd", "-D", "-e", "-f", dir+"/sshd_config")
	p.line("Server listening on :: port 2222")
	return []string{
		"-F", "none", "-i", dir + "/user", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + dir + "/known", "-o", "LogLevel=ERROR",
	}
}

// loginAndCopy logs in and copies a file both ways, with scp over SFTP and
// with the protocol that scp used before.
func loginAndCopy(t *testing.T, client place, addr, from string, options []string) {
	t.Helper()
	file := makePayload(t, 8<<20)
	bracketed := addr
	if strings.Contains(addr, ":") {
		bracketed = "[" + addr + "]"
	}
	ssh := append(append([]string{"ssh", "-p", "2222"}, options...), "root@"+addr)
	got := client.start(append(ssh, "echo $SSH_CONNECTION; exit 3")...)
	if code := got.wait(); code != 3 {
		t.Errorf("ssh ended with %d, want the remote command's 3: %s", code, got.stderr)
	}
	if f := strings.Fields(got.stdout.String()); len(f) != 4 || f[0] != from || f[2] != addr || f[3] != "2222" {
		t.Errorf("SSH_CONNECTION is %q, want from %s to %s 2222", got.stdout, from, addr)
	}
	// A terminal, too: the login is a session with a pty.
	if got := client.start(append(append([]string{"ssh", "-tt", "-p", "2222"}, options...), "root@"+addr, "tty")...).ok(); !strings.HasPrefix(got, "/dev/pts/") {
		t.Errorf("tty says %q", got)
	}
	for _, protocol := range []string{"-s", "-O"} {
		dir := t.TempDir()
		scp := append([]string{"scp", "-q", protocol, "-P", "2222"}, options...)
		client.start(append(scp, file.path, "root@"+bracketed+":"+dir+"/there")...).ok()
		client.start(append(scp, "root@"+bracketed+":"+dir+"/there", dir+"/back")...).ok()
		back, err := os.ReadFile(dir + "/back")
		must(t, err)
		d := newDigest()
		_, _ = d.Write(back)
		d.expect(t, file)
	}
}

func TestSSHServerInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	options := sshd(t, pod)
	loginAndCopy(t, h, pod.v4, hostV4, options)
	loginAndCopy(t, h, pod.v6, hostV6, options)
	pod.stop()
}

func TestSSHClientInside(t *testing.T) {
	h := newHost(t)
	pod := h.pod()
	options := sshd(t, h)
	loginAndCopy(t, pod, hostV4, pod.v4, options)
	loginAndCopy(t, pod, hostV6, pod.v6, options)
	pod.stop()
}

// A port forwarding has the server connect and the client listen, in one
// process each.
func TestSSHForwarding(t *testing.T) {
	file := makePayload(t, 8<<20)
	h := newHost(t)
	pod := h.pod()
	options := sshd(t, pod)
	nginx(t, pod, file.folder(t), 0)
	h.start(append(append([]string{"ssh", "-N", "-p", "2222", "-L", "127.0.0.1:8080:127.0.0.1:80"}, options...), "root@"+pod.v4)...)
	h.reaches("127.0.0.1:8080")
	p, got := curl(t, h, "http://127.0.0.1:8080/file")
	p.ok()
	got.expect(t, file)
	pod.stop()
}
