--- session-locker for LuaJIT: one owner at a time for every player's save data.
--
--     local sl = require("session_locker")
--     local storage = sl.StorageOpen("sqlite:saves.db")
--     local store = sl.EasyStoreCreate(storage, function() return { Gold = 0 } end)
--
-- docs/lua.md is the guide. What the parts beside this file say of each function holds here too.
--
-- What holds for all:
--
-- - Names. The original's functions, methods and fields have their names, and so has what is added in
--   their manner; what stands for a function of Lua's own (`pairs`, `remove`) or for a value is in small
--   letters.
-- - Errors are thrown: tables with `Status`, such as "SL_ERROR_BUSY", and `Message`, which `tostring`
--   turns into one line. What is no mistake of the script's is returned: nil for what is not there, nil and
--   the error for a conflict or when time has run out.
-- - Time is in seconds.
-- - Threads. A Lua state belongs to one thread, and so does what it has made. While the script hears logs
--   or the errors of the whole process, no other thread may be in a call of the library.
-- - What has `Destroy` is freed by the collector too, but a thing with hooks not before they are gone.

local defaults = require("session_locker.defaults")
local hooks = require("session_locker.hooks")
local json = require("session_locker.json")
local lockers = require("session_locker.locker")
local log = require("session_locker.log")
local native = require("session_locker.native")
local purchasers = require("session_locker.purchaser")
local save_data = require("session_locker.save_data")
local storage = require("session_locker.storage")
local tasks = require("session_locker.tasks")

local ffi = require("ffi")

local session_locker = {
    -- Stores, lockers, and what they are made with.
    StorageOpen = storage.open,
    StorageOpenHost = require("session_locker.host_storage"),
    EasyStoreCreate = require("session_locker.store"),
    LockerSpec = require("session_locker.spec"),
    LockerCreate = lockers.LockerCreate,
    LockerCreatePlayer = lockers.LockerCreatePlayer,
    MigratorBuilderCreate = require("session_locker.migrators"),
    RemoteChangeSenderCreate = require("session_locker.sender"),
    ProductPurchaserCreate = purchasers.ProductPurchaserCreate,
    DummyPPP_FromReceiptInfo = purchasers.DummyPPP_FromReceiptInfo,
    DummyPPP_FromIds = purchasers.DummyPPP_FromIds,

    -- Save data; each takes a save data or a place in one.
    get = save_data.get,
    set = save_data.set,
    set_float = save_data.set_float,
    add = save_data.add,
    append = save_data.append,
    insert = save_data.insert,
    remove = save_data.remove,
    contains = save_data.contains,
    type = save_data.type,
    length = save_data.length,
    names = save_data.names,
    copy = save_data.copy,
    json = save_data.json,
    set_json = save_data.set_json,
    merge_patch = save_data.merge_patch,
    apply_patch = save_data.apply_patch,
    pairs = save_data.pairs,
    ipairs = save_data.ipairs,
    is_save_data = save_data.is,
    TableDeepCopy = save_data.TableDeepCopy,
    TableRestoreBackup = save_data.TableRestoreBackup,
    SaveDataCreate = save_data.create,
    SaveDataParse = save_data.parse,
    SaveDataDestroy = save_data.destroy,

    -- Values.
    null = json.null,
    array = json.array,
    object = json.object,
    encode = save_data.encode,
    decode = save_data.decode,
    NOT_NOW = hooks.NOT_NOW,

    -- Coroutines.
    Spawn = tasks.Spawn,
    SetErrorHandler = tasks.SetErrorHandler,

    -- Helpers.
    QueryConfig = log.QueryConfig,
    LogErrorVariations = log.LogErrorVariations,
    LogPrefixCreate = log.LogPrefixCreate,
    GetRequestErrorKind = log.GetRequestErrorKind,
    SetLogCallback = log.SetLogCallback,

    -- The library.
    Version = ffi.string(native.C.session_locker_version()),
    Now = native.C.session_locker_now,
    LiveHandles = native.live_handles,
}

-- The defaults of the whole process: `Default_VerboseLogs`, `Default_ReadOnlyDataStores`,
-- `Default_MaintainSessionPeriod`, `Default_SessionExpiry`, `Default_SessionRetryCooldown`,
-- `Default_PurchaseHistoryLimit`; and who is told of errors for which a store, spec or sender has no
-- `ReportDataStoreError`: `Default_LockerSpec_ReportDataStoreError` and
-- `Default_RemoteChangeSender_ReportDataStoreError`. They are read and assigned, and count for what is made
-- from then on.
return setmetatable(session_locker, {
    __index = function(_, name)
        return defaults.get(name)
    end,
    __newindex = function(_, name, value)
        defaults.set(name, value)
    end,
})
