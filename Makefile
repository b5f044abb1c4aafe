# make test      everything that must hold, set-up included
# make simulate  the simulated world; SEEDS, FIRST, STEPS say how many seeds, from which on, how long
# make models    the lock protocol as a model, with more states than make test explores
# make loom      what threads share without a lock, in every order in which they can meet
# make sanitize  the tests under sanitizers and valgrind, which takes a while
# make mutations mistakes in a copy of the library, which the simulated world must notice; WRITE, MUTATION
# make demo      the examples, against a fresh database; with STORAGE=postgres or redis on a server
# make crashes   kills game servers: KILLS (1000), STORAGE (sqlite, files, postgres or redis), SERVER_KILLS (of a
#                database server, 200), SEED (by chance)
# make fuzz      fuzzes for SECONDS (300) in all, or only a TARGET
# make headers   writes anew what is generated from src/ffi
# make bench     the benchmarks; make bench-engines storages beside their raw clients; make
#                bench-bindings the bindings of C++, C# and LuaJIT; make bench-frames whether a frame waits
# make install   the library for programs of this machine; PREFIX, LIBDIR, INCLUDEDIR, DATADIR, DESTDIR
# make uninstall what was installed, from the same PREFIX and DESTDIR
# make dist      an archive with the library for this platform, in build/dist or DIST
# make clean     removes what was built

# The C examples, in the order in which they tell their story.
EXAMPLES := quickstart two_servers game_server purchases remote_changes migrations salvage import_original host_storage \
	copy_storage

export PATH := $(HOME)/.cargo/bin:$(PATH)

CARGO := cargo
# Where cargo builds, wherever its configuration says: the tree may be read-only. LIB and DIST are set likewise.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BUILT = $(TARGET_DIR)/$(CARGO_BUILD_TARGET)/release
LIB := build/lib
DIST := build/dist
# What compilers look for, and what programs ask the dynamic linker for.
NAMES := $(shell bash -c '. packaging/common.sh && echo $$link_name $$soname')
SHARED := $(LIB)/$(word 1,$(NAMES))
SONAME := $(word 2,$(NAMES))

# What must hold, in the order in which it is begun: what waits much beside what computes much. Two that build in
# one place wait for each other.
CHECKS := format library lint docs rust-tests simulation-tests crash-tests mutations partition-tests copy-tests \
	model-tests symbols c-tests loom memory-tests examples two-libraries csharp-tests cpp-tests lua-tests stories \
	install-tests

# One thing after another, save for the checks of `make test`: half of them wait for servers that are killed or
# cut off, or for a linker. What each says is shown when it is over, where make can do that. What they build is
# told nothing of this.
LANES = 2
SIDE_BY_SIDE :=
ifdef SIDE_BY_SIDE
unexport MAKEFLAGS MFLAGS
# It sets up .NET for both.
stories: csharp-tests
else
.NOTPARALLEL:
endif

.PHONY: test checks tools demo-tools format lint docs rust-tests postgres-tests redis-tests library symbols c-tests \
	two-libraries cpp-tests csharp-tests lua-tests stories examples copy-tests demo headers bench bench-engines \
	bench-bindings bench-frames clean

# Cargo spends a quarter of a first build on making the next one quicker. It does so here only where it has done so
# before.
ifeq ($(wildcard $(TARGET_DIR)/debug/incremental/*),)
test: export CARGO_INCREMENTAL ?= 0
endif

test: stories-storage tools
	@$(MAKE) --no-print-directory -j $(LANES) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) \
		SIDE_BY_SIDE=1 checks
	@printf '\nmake test: everything passed\n'

checks: $(CHECKS)

tools:
	@tests/tools

# Where the examples keep their records: nothing for SQLite, or a server, which is started for them.
STORAGE :=
ON_STORAGE := $(if $(filter-out sqlite,$(STORAGE)),EXAMPLE_STORAGE=$(STORAGE) tests/servers/$(STORAGE) run)

# $(call on-storage,WHAT RUNS,PATTERN,NAMES): refuses every other STORAGE, before anything is built.
on-storage = @case '$(STORAGE)' in ''|$(2)) ;; *) echo 'STORAGE=$(STORAGE): $(1) on $(3)' >&2; exit 1 ;; esac
ENGINES = sqlite, postgres or redis
ENGINES_AND_FILES = sqlite, files, postgres or redis

.PHONY: demo-storage stories-storage crashes-storage
demo-storage:
	$(call on-storage,the demo runs,sqlite|postgres|redis,$(ENGINES))

stories-storage:
	$(call on-storage,the stories run,sqlite|postgres|redis,$(ENGINES))

crashes-storage:
	$(call on-storage,the crashes run,sqlite|files|postgres|redis,$(ENGINES_AND_FILES))

demo-tools:
	@tests/tools demo $(STORAGE)

format:
	@printf '\n== Formatting\n'
	@$(CARGO) fmt --check
	@echo "formatting: as rustfmt has it"

# They are known by what they begin with: most have no ending.
SHELL_SCRIPTS = grep -rlIE --exclude='*.md' --exclude-dir=.git --exclude-dir=build --exclude-dir=target \
	'^(\#!.*[/ ](ba|da)?sh$$|\# shellcheck shell=)' .

lint:
	@printf '\n== Clippy\n'
	@$(CARGO) clippy --locked --all-targets --quiet -- -D warnings
	@echo "clippy: no warnings"
	@printf '\n== Shell scripts\n'
	@$(SHELL_SCRIPTS) | xargs shellcheck --external-sources
	@echo "shellcheck: $$($(SHELL_SCRIPTS) | wc -l) scripts, no warnings"

# What else may be built of the engines: `make test` builds all of them, SQLite alone, and none.
.PHONY: features
features:
	@for engines in postgres redis sqlite,postgres sqlite,redis postgres,redis; do \
		$(CARGO) clippy --locked --quiet --lib --no-default-features --features $$engines -- -D warnings || exit 1; \
		echo "$$engines: no warnings"; \
	done

docs:
	@printf '\n== Documentation\n'
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet
	@echo "documentation: no warnings"

# Those of servers wait for most of their time: for what is over after ten seconds, or twenty.
rust-tests:
	@printf '\n== Rust tests, the header check among them\n'
	@RUST_TEST_THREADS=8 tests/servers/redis run tests/servers/redis cluster tests/servers/postgres run \
		$(CARGO) test --locked --quiet

# The part of them that is about one engine.
postgres-tests:
	@printf '\n== PostgreSQL\n'
	@RUST_TEST_THREADS=8 tests/servers/postgres run $(CARGO) test --locked --quiet \
		--test storage_conformance --test storage_postgres \
		--test storage_postgres_servers -- --skip sqlite --skip memory --skip host_style --skip host_callbacks --skip redis

redis-tests:
	@printf '\n== Redis\n'
	@RUST_TEST_THREADS=8 tests/servers/redis run tests/servers/redis cluster $(CARGO) test --locked --quiet \
		--test storage_conformance --test storage_redis --test storage_redis_cluster \
		--test storage_redis_servers -- --skip sqlite --skip memory --skip host_style --skip host_callbacks --skip postgres

# The simulated world, compiled to be fast and with all checks of debug builds; without SQLite, which it
# does not need. Each seed is one world, each step one thing that happens in it.
.PHONY: simulation-tests simulate
SIMULATION = $(CARGO) test --locked --quiet --profile simulation --no-default-features --test simulation --
SEEDS = 10000
FIRST = 0
STEPS = 2000

# The worlds of `make test`.
WORLDS = SIMULATION_SEEDS=0..3000 SIMULATION_STEPS=2000

simulation-tests:
	@printf '\n== The ten laws, in a simulated world\n'
	@$(WORLDS) $(SIMULATION) --nocapture

# What those worlds notice of mistakes in a copy of the library. WRITE=1 writes the list of it anew,
# MUTATION="part of a name" looks for those only.
.PHONY: mutations
mutations:
	@printf '\n== Mistakes that the simulation must notice\n'
	@$(WORLDS) MUTATION='$(MUTATION)' $(if $(WRITE),MUTATIONS_WRITE=1) \
		$(CARGO) test --locked --quiet --test mutations -- --ignored --nocapture

simulate:
	@SIMULATION_SEEDS=$(FIRST)..$$(($(FIRST) + $(SEEDS))) SIMULATION_STEPS=$(STEPS) \
		$(SIMULATION) --nocapture the_ten_laws_hold

# The lock protocol as a model, in every state.
.PHONY: model-tests models
MODELS = $(CARGO) test --locked --quiet --profile simulation --no-default-features --test lock_protocol -- --nocapture

model-tests:
	@printf '\n== The lock protocol, in every state\n'
	@LOCK_PROTOCOL=full $(MODELS)

models:
	@LOCK_PROTOCOL=deep $(MODELS)

# What threads share without a lock of their own, in every order in which they can meet. Compiled apart and for
# this alone: without the information for a debugger, which takes half of the time.
.PHONY: loom
loom: export CARGO_PROFILE_DEV_DEBUG = 0
loom:
	@printf '\n== Threads in every order\n'
	@RUSTFLAGS="--cfg loom" $(CARGO) test --locked --quiet --no-default-features --lib \
		--target-dir $(TARGET_DIR)/loom -- --nocapture under_loom

# The library says where in a source file something went wrong, and not whose machine that was on.
REMAPPED = build.rustflags=['--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}/registry/src=']

library:
	@printf '\n== Release library\n'
	@$(CARGO) build --locked --release --lib --quiet --config "$(REMAPPED)" --target-dir $(TARGET_DIR)
	@mkdir -p $(LIB)
	@cp $(BUILT)/libsession_locker.a $(LIB)/
	@cp $(BUILT)/$(notdir $(SHARED)) $(LIB)/$(SONAME)
	@ln -sf $(SONAME) $(SHARED)
	@echo "library: $$(du -h $(LIB)/$(SONAME) | cut -f1) shared, in $(LIB)"

symbols: library
	@printf '\n== Exported symbols\n'
	@tests/c/symbols $(SHARED) include/session_locker.h tests/data/api_map.txt

c-tests: library
	@printf '\n== C programs\n'
	@tests/c/run $(LIB) build/c
	@tests/c/pages $(LIB) build/c

# A share of what `make sanitize` does, whose parts tests/sanitize/run tells.
.PHONY: memory-tests sanitize sanitize-tools
memory-tests: library
	@tests/sanitize/run $(LIB) build/sanitize some

PARTS = address rust memcheck thread
sanitize: sanitize-tools library
	@tests/sanitize/run $(LIB) build/sanitize $(PARTS)

sanitize-tools:
	@tests/tools sanitize

two-libraries: library
	@printf '\n== Two Rust static libraries in one program\n'
	@rustc --edition 2024 --crate-type staticlib -O -o build/libsecond.a tests/c/two_libraries/second.rs
	@cc -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude tests/c/two_libraries/main.c \
		$(LIB)/libsession_locker.a build/libsecond.a -lpthread -lm -ldl -lgcc_s -o build/two_libraries
	@build/two_libraries

cpp-tests: library
	@printf '\n== C++\n'
	@tests/cpp/run $(LIB) build/cpp

csharp-tests: library
	@printf '\n== C#\n'
	@tests/csharp/run $(LIB) build/csharp

lua-tests: library
	@printf '\n== LuaJIT\n'
	@tests/lua/run $(LIB) build/lua

# All of them on each storage; with STORAGE=postgres or redis on that one.
stories: stories-storage library
	@printf '\n== One story in each language\n'
ifeq ($(STORAGE),)
	@tests/story/run $(LIB) build/story
	@STORY_STORAGE=postgres tests/servers/postgres run tests/story/run $(LIB) build/story
	@STORY_STORAGE=redis tests/servers/redis run tests/story/run $(LIB) build/story
else
	@STORY_STORAGE=$(STORAGE) $(ON_STORAGE) tests/story/run $(LIB) build/story
endif

examples: library
	@EXAMPLE_STANDARDS="c99 c11 c17 c++17" examples-c/run $(LIB) build/examples shared $(EXAMPLES)
	@examples-c/run $(LIB) build/examples static $(EXAMPLES)
	@EXAMPLE_STORAGE=postgres tests/servers/postgres run examples-c/run $(LIB) build/examples shared $(EXAMPLES)
	@EXAMPLE_STORAGE=redis tests/servers/redis run examples-c/run $(LIB) build/examples shared $(EXAMPLES)
	@bindings/run $(LIB) build/examples
	@tests/missing_tools $(LIB) build/examples

# Copies a storage from engine to engine.
copy-tests: library
	@printf '\n== Moving from engine to engine\n'
	@tests/servers/postgres run tests/servers/redis run tests/copy/run $(LIB) build/copy

demo: demo-storage demo-tools library
	@$(ON_STORAGE) examples-c/run $(LIB) build/examples shared $(EXAMPLES)
	@SKIP_MISSING=1 $(ON_STORAGE) bindings/run $(LIB) build/examples

# A share of what `make crashes` does.
.PHONY: crash-tests crashes partition-tests
crash-tests: library
	@printf '\n== Servers that are killed\n'
	@tests/crashes/run $(LIB) build/crashes 60 sqlite
	@tests/crashes/run $(LIB) build/crashes 30 files
	@tests/crashes/run $(LIB) build/crashes 30 postgres 5
	@tests/crashes/run $(LIB) build/crashes 30 redis 10

# A game server that is cut off from the storage, on two engines at a time.
partition-tests: library
	@printf '\n== A server that is cut off\n'
	@tests/partition/run $(LIB) build/partition postgres redis

KILLS = 1000
SERVER_KILLS = $(if $(filter postgres redis,$(STORAGE)),200,0)
SEED =
crashes: crashes-storage demo-tools library
	@tests/crashes/run $(LIB) build/crashes '$(KILLS)' '$(or $(STORAGE),sqlite)' '$(SERVER_KILLS)' $(SEED)

# What was found and is not in the tree stays in build/fuzz; fuzz-corpora takes over what is worth keeping.
.PHONY: fuzz fuzz-corpora
SECONDS = 300
TARGET =
fuzz: demo-tools
	@fuzz/run '$(SECONDS)' $(TARGET)

fuzz-corpora: demo-tools
	@fuzz/run --minimise

headers:
	@SESSION_LOCKER_WRITE_HEADERS=1 $(CARGO) test --locked --quiet --test headers
	@echo "written: the C header, and what is generated in bindings/lua and bindings/csharp"

bench:
	@$(CARGO) bench --locked --quiet --bench calls --bench figures --bench purchases

# Engines beside the raw clients that they are made of, with servers of their own.
bench-engines:
	@tests/servers/postgres run tests/servers/redis run \
		$(CARGO) bench --locked --quiet --bench engines

# The frames of a game whose servers are far away, down, or silent; about five minutes.
bench-frames:
	@tests/servers/postgres run tests/servers/redis run \
		$(CARGO) bench --locked --quiet --bench frames

# What the bindings add to a call.
bench-bindings: tools library
	@benches/bindings/run-cpp $(LIB) build/bench
	@benches/bindings/run-csharp $(LIB) build/bench
	@benches/bindings/run-lua $(LIB) build/bench

.PHONY: install uninstall dist install-tests

# What is built and newer than its sources is taken as it is, so that cargo need not be
# there, nor run as root.
PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DATADIR = $(PREFIX)/share
INSTALL = PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DATADIR='$(DATADIR)' \
	DESTDIR='$(DESTDIR)' packaging/install

$(LIB)/$(SONAME): $(shell find src -name '*.rs') Cargo.toml Cargo.lock build.rs
	@$(MAKE) --no-print-directory library

install: $(LIB)/$(SONAME)
	@$(INSTALL) $(LIB)

uninstall:
	@$(INSTALL) --uninstall

dist: $(LIB)/$(SONAME)
	@packaging/dist $(LIB) $(DIST)

install-tests: library
	@printf '\n== Installing\n'
	@tests/install/run $(LIB) build/install

clean:
	@$(CARGO) clean
	@rm -rf build
