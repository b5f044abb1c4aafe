--- MigratorBuilder: collects migrators and patchers, and checks that they fit together.

local class = require("session_locker.class")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local save_data = require("session_locker.save_data")

local calls = native.calls

local MigratorBuilder, Migrators = {}, {}
local builder_meta, migrators_meta = class.new(MigratorBuilder, {}), class.new(Migrators, {})

local builder_out = native.scratch("SlMigratorBuilder *[1]")
local migrators_out = native.scratch("SlMigrators *[1]")

--- Makes an empty builder.
local function MigratorBuilderCreate()
    native.check(calls.migrator_builder_create(builder_out))
    return setmetatable({ _handle = native.own(builder_out[0], "migrator_builder_destroy") }, builder_meta)
end

local function version_of(value)
    if type(value) ~= "number" or value < 0 or value > 2 ^ 32 - 1 or value ~= math.floor(value) then
        native.misuse("a version is a whole number, not " .. tostring(value))
    end
    return value
end

local function add(self, call, version, migrate)
    native.expect(migrate, "function", "a migrator")
    local handle, number = class.handle(self, "builder"), version_of(version)
    local user_data = hooks.enter({ migrate = migrate })
    native.check(hooks.forget_if_refused(
        call(handle, number, hooks.callback("SlMigrator"), user_data,
            hooks.callback("SlDrop")), user_data))
    return self
end

--- Adds the migrator from a version to the next: `migrator(data)` writes to `data`, a draft, and may
-- return the new `VersionPatch`. An error in it is a failed migration. It may run again, and must depend on
-- the save data alone.
function MigratorBuilder:AddMigratorFrom(version, migrator)
    return add(self, calls.migrator_builder_add_migrator_from, version, migrator)
end

--- Adds the patcher for save data that is stored in a version; it runs before any migrator:
-- `patcher(data, version_patch)`, and all else as for a migrator.
function MigratorBuilder:AddPatcherFor(version, patcher)
    return add(self, calls.migrator_builder_add_patcher_for, version, patcher)
end

--- Checks that the migrators lead to this version.
function MigratorBuilder:CheckVersion(current)
    native.check(calls.migrator_builder_check_version(class.handle(self, "builder"), version_of(current)))
    return self
end

--- Gives the migrators and patchers added so far, for `SaveDataMigrators` of a store or spec. It gives them
-- twice, for scripts that want the patchers too.
function MigratorBuilder:Build()
    native.check(calls.migrator_builder_build(class.handle(self, "builder"), migrators_out))
    local migrators =
        setmetatable({ _handle = native.own(migrators_out[0], "migrators_destroy") }, migrators_meta)
    return migrators, migrators
end

local function destroy(call)
    return function(self)
        if self._handle ~= nil then
            local handle = native.release(self._handle)
            rawset(self, "_handle", nil)
            native.check(call(handle))
        end
    end
end

--- Frees the builder; what was built from it stays. Again does nothing.
MigratorBuilder.Destroy = destroy(calls.migrator_builder_destroy)

--- Frees the migrators; what was made with them keeps its own. Again does nothing.
Migrators.Destroy = destroy(calls.migrators_destroy)

--- Brings a save data of the script's own to a version, as a load does: all of it or nothing. For tools
-- and tests.
function Migrators:Migrate(data, to_version)
    native.check(calls.migrators_migrate(class.handle(self, "migrators"), save_data.handle(data),
        version_of(to_version)))
end

return MigratorBuilderCreate
