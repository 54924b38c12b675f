package canary_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
)

// acts are what can be played.
var acts = map[string]func(p *player, ctx context.Context) error{
	"hold":    (*player).hold,
	"leave":   (*player).leave,
	"print":   (*player).print,
	"formats": (*player).formats,
	"fall":    (*player).fall,
}

// hold gives a command the secret, and stops where it has it, where it has had it, and
// where the sandbox is no more.
func (p *player) hold(ctx context.Context) error {
	sb, err := p.create(ctx)
	if err != nil {
		return err
	}
	c, err := p.start(ctx, sb, "hold")
	if err != nil {
		return errors.Join(err, sb.Destroy(ctx))
	}
	p.say(word{Stage: "held", Text: c.out.String() + everyWay(sb) + everyWay(c.process)})
	res, err := c.end()
	if err != nil {
		return err
	}
	p.say(word{Stage: "ended", Text: c.out.String() + everyWay(res)})
	return p.destroy(ctx, sb)
}

// fall panics while a command has the secret, unless it is killed before.
func (p *player) fall(ctx context.Context) error {
	const all = ^uint64(0)
	limit := unix.Rlimit{Cur: all, Max: all}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	sb, err := p.create(ctx)
	if err != nil {
		return err
	}
	c, err := p.start(ctx, sb, "hold")
	if err != nil {
		return errors.Join(err, sb.Destroy(ctx))
	}
	p.say(word{Stage: "held", Text: c.out.String()})
	panic(fmt.Sprintf("on purpose, with %s and %v", p.twin, *c.process))
}

// print has a command print the secret.
func (p *player) print(ctx context.Context) error {
	sb, err := p.create(ctx)
	if err != nil {
		return err
	}
	res, err := sb.Run(ctx, p.command("print"))
	if err != nil {
		return errors.Join(err, sb.Destroy(ctx))
	}
	p.say(word{Stage: "printed", Text: fmt.Sprintf("%s%s\n%s", res.Stdout, res.Stderr, everyWay(res))})
	return p.destroy(ctx, sb)
}

// leave has a command leave something behind that reads what was taken back.
func (p *player) leave(ctx context.Context) error {
	sb, err := p.create(ctx)
	if err != nil {
		return err
	}
	c, err := p.start(ctx, sb, "leave")
	if err != nil {
		return errors.Join(err, sb.Destroy(ctx))
	}
	if _, err := c.end(); err != nil {
		return err
	}
	look := `echo >"$HOME/go"; ` + await("read") + `echo "read $(cat "$HOME/read")"`
	if kind, target := p.target(); kind == policy.CredentialFile {
		look += "; cat " + target + " 2>&1; ls -A $(dirname " + target + ")"
	}
	res, err := sb.Run(ctx, kavach.Cmd{Args: []string{"/bin/sh", "-c", look}, Credentials: []string{}})
	if err != nil {
		return err
	}
	p.say(word{Stage: "left", Text: fmt.Sprintf("%s%s", res.Stdout, res.Stderr)})
	return p.destroy(ctx, sb)
}

func (p *player) destroy(ctx context.Context, sb *kavach.Sandbox) error {
	if err := sb.Destroy(ctx); err != nil {
		return err
	}
	for range 3 {
		runtime.GC()
	}
	p.say(word{Stage: "destroyed"})
	return nil
}

// everyWay is a value in each way that it can be written.
func everyWay(v any) string {
	var text strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&text, verb+" "+verb+"\n", v, []any{v})
	}
	encoded, err := json.Marshal(v)
	fmt.Fprintf(&text, "JSON %s %v\n", encoded, err)
	return text.String()
}

// formats writes whatever has to do with a secret that a command has, in each way.
func (p *player) formats(ctx context.Context) error {
	allowed := policy.Policy{}
	for source, as := range map[string]string{p.Source: "env:CANARY", "fd:7": "stdin", "fd:8": "fd:9"} {
		allowed.Credentials = append(allowed.Credentials, policy.Credential{Name: strings.ReplaceAll(as, ":", "-"), Source: source, As: as})
	}
	set, err := credential.Open(credential.Options{Policy: &allowed, Placeholders: placeholders{}, Inherited: []int{5, 7, 8}})
	if err != nil {
		return err
	}
	cmd := backend.Cmd{Args: []string{"true"}}
	lease, err := set.Attach(ctx, credential.Command{Cmd: &cmd})
	if err != nil {
		return err
	}
	value := cmd.Secrets[0].Value()
	session, err := new(gate.Gate).Open(gate.Options{Secrets: []gate.Secret{gate.NewSecret("known", value)}})
	if err != nil {
		return err
	}
	config := kavach.Config{Policy: allowed, Credentials: []credential.Ref{{Credential: allowed.Credentials[0]}}, Secrets: []gate.Secret{gate.NewSecret("known", value)}}
	_, failed := set.Attach(ctx, credential.Command{Cmd: new(backend.Cmd), Stdin: true})
	var text strings.Builder
	for name, v := range map[string]any{
		"twin": []byte(p.twin), // what it would look like
		"Ref":  config.Credentials, "Set": set, "Lease": lease, "Cmd": cmd, "*Cmd": &cmd, "Secret": cmd.Secrets[0], "*Secret": &cmd.Secrets[0],
		"Config": config, "*Config": &config, "Grants": lease.Grants(), "Session": session, "error": failed,
	} {
		text.WriteString(name + " " + everyWay(v))
	}
	p.say(word{Stage: "formats", Text: text.String()})
	set.Close()
	session.Close()
	return lease.Revoke()
}
