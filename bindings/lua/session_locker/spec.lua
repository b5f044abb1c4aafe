--- LockerSpec: what lockers and senders have in common.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local defaults = require("session_locker.defaults")
local events = require("session_locker.events")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")

local C, calls = native.C, native.calls

local LockerSpec = {}
local meta = class.new(LockerSpec, {})

-- Told of every locker of the spec, the locker first.
local LISTENERS = { "Lifecycle", "LoadStatusChanged", "ProductCreditChanged" }
local KNOWN = { hooks = true, Lifecycle = true, LoadStatusChanged = true, ProductCreditChanged = true }

--- Makes a spec of a table: `DataStore`, a storage, and what a store is configured with; besides these
-- hooks for all lockers: `BeforeSave(locker)` and `BeforeSaveTransform(locker)`; and listeners:
-- `Lifecycle(locker, status, reason)`, `LoadStatusChanged(locker, status)` and
-- `ProductCreditChanged(locker, product_id, amount)`.
local function create(given)
    native.expect(given, "table", "a spec")
    local storage = class.handle(native.expect(given.DataStore, "table", "DataStore"), "storage")
    local struct = ffi.new("SlLockerSpecConfig")
    native.check(C.locker_spec_config_init(struct, ffi.sizeof(struct)))
    local listeners = {}
    for _, name in ipairs(LISTENERS) do
        if given[name] ~= nil then
            listeners[name] = native.expect(given[name], "function", name)
        end
    end
    local entry, texts = config.fill(struct, given, KNOWN)
    -- Weak, so that neither the spec nor the library's hold on its hooks is one on the lockers.
    local lockers = events.Handles.new_weak()
    function entry.find(handle)
        return lockers:get(handle)
    end
    local out = ffi.new("SlLockerSpec *[1]")
    local user_data = hooks.enter(entry)
    struct.user_data = user_data
    native.check(hooks.forget_if_refused(
        calls.locker_spec_create(storage, struct, out), user_data))
    native.keep(texts)
    native.keep(given)
    return setmetatable({
        _handle = native.own(out[0], "locker_spec_destroy"),
        _lockers = lockers,
        -- Those that are not idle, which nobody has to keep.
        _busy = {},
        _listeners = listeners,
    }, meta)
end

--- The value that the spec was made with, by its name, such as "SessionExpiry": one of those that have a
-- default for the whole process.
function LockerSpec:QueryConfig(name)
    local value = ffi.new("double[1]")
    native.check(C.locker_spec_query_config(class.handle(self, "spec"), defaults.number_of(name), value))
    return defaults.from_number(name, value[0])
end

--- Frees the spec; its lockers and senders go on. Again does nothing.
function LockerSpec:Destroy()
    if self._handle ~= nil then
        local handle = native.release(self._handle)
        rawset(self, "_handle", nil)
        native.check(calls.locker_spec_destroy(handle))
    end
end

return create
