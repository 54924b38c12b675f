# make          build bin/kavach, bin/kavach-registry and bin/kavach-wasm
# make programs build the programs that are modules of their own: gVisor's takes a minute
# make install  all of them, the manual and the completions below PREFIX (DESTDIR before it)
# make test     all tests, as root (where it is root) and as an ordinary user
# make test-vm  some tests on Linux 6.1 with pure cgroup v2, in QEMU
# make lint     vet, golangci-lint, govulncheck
# make fuzz     each fuzz target for FUZZTIME
# make bench    Kavach beside its peers
#
# What a target needs from Debian it installs where it can.

GO       ?= go
FUZZTIME ?= 20s
BENCH    ?= -n 40
PREFIX   ?= /usr/local

export CGO_ENABLED ?= 0

.PHONY: all build programs install test test-programs test-vm lint fuzz bench clean tools

all: build

build:
	$(GO) build -o bin/kavach ./cmd/kavach
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/kavach-wasm ./cmd/kavach-wasm
	cd cmd/kavach-registry && $(GO) build -trimpath -ldflags '-s -w' -o ../../bin/kavach-registry .

# Programs whose libraries kavach is to be spared are modules of their own. What
# debuggers want is half of them, and left out.
modules := $(patsubst %/go.mod,%,$(wildcard cmd/*/go.mod))

programs:
	set -e; for dir in $(modules); do (cd $$dir && $(GO) build -trimpath -ldflags '-s -w' -o ../../bin/$${dir##*/} .); done

# Where the shells of most distributions look for completions.
share := $(DESTDIR)$(PREFIX)/share
bash  := $(share)/bash-completion/completions
zsh   := $(share)/zsh/site-functions
fish  := $(share)/fish/vendor_completions.d

install: build programs
	install -d $(DESTDIR)$(PREFIX)/bin $(bash) $(zsh) $(fish)
	install -m 755 bin/kavach bin/kavach-wasm $(patsubst cmd/%,bin/%,$(modules)) $(DESTDIR)$(PREFIX)/bin/
	umask 022 && bin/kavach man --dir $(share)/man
	umask 022 && bin/kavach completion bash >$(bash)/kavach
	umask 022 && bin/kavach completion zsh >$(zsh)/_kavach
	umask 022 && bin/kavach completion fish >$(fish)/kavach.fish

# Programs that tests run inside, and the peers that bench runs beside.
test-programs:
	@sh .ci/programs

test: test-programs build programs
	@sh .ci/test

test-vm:
	@sh .ci/test-vm

lint:
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	cd tools && $(GO) build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	cd tools && $(GO) build -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck
	bin/golangci-lint run ./...
	set -e; for dir in $(modules); do (cd $$dir && $(GO) vet ./... && GOARCH=arm64 $(GO) vet ./... && ../../bin/golangci-lint run ./...); done
	set -e; for dir in tools/gaterules tools/gatecompare; do (cd $$dir && $(GO) vet ./...); done
	cd tools/gaterules && $(GO) run . ../../bin/table.txt && cmp ../../bin/table.txt ../../gate/rules/table.go
	@sh .ci/vuln

fuzz:
	@bash .ci/fuzz $(FUZZTIME)

bench: test-programs build
	PATH="$(CURDIR)/bin:$$PATH" $(GO) run ./bench $(BENCH)

clean:
	rm -rf bin
