--- Lifetimes: what the collector ends, what is left behind, and what is used too late.

local ffi = require("ffi")
local check = require("check")
local hooks = require("session_locker.hooks")
local memory = require("memory")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames = check.frames

local function collect()
    -- Compiled code holds what it was compiled for.
    jit.flush()
    collectgarbage()
    collectgarbage()
end

local function resident_kilobytes()
    local file = io.open("/proc/self/statm")
    local pages = file:read("*a"):match("^%d+ (%d+)")
    file:close()
    return tonumber(pages) * 4
end

test("ten thousand sessions leave no handle, no hook and no memory behind", function()
    local store, storage = check.store()
    local function process()
        return true
    end
    local at_half
    for at = 1, 10000 do
        local key = "player/" .. at % 100
        local profile = store:StartSession(key, { UserIds = { "u" } })
        profile.Finished:Connect(function() end)
        profile:SetBeforeSave(function(saved)
            saved.data.At = at
        end)
        profile:WhenLoaded(function(loaded)
            loaded.data.Gold = at
        end)
        profile:WhenChangesSaved(function() end)
        profile:CallWhenProductIsProcessedAndSaved(process, { PurchaseId = "p" .. at % 3, ProductId = 1 },
            function() end)
        frames(store, 2)
        profile:EndSession()
        frames(store, 2)
        assert(profile.IsFinished, "a session is not over")
        if at == 5000 then
            collect()
            at_half = resident_kilobytes()
        end
    end
    collect()
    local growth = resident_kilobytes() - at_half
    assert(growth < 4096, ("memory has grown by %d kB"):format(growth))
    equal(hooks.count(), 1)
    equal(sl.LiveHandles(), 2)
    store:Destroy()
    storage:Destroy()
    equal(hooks.count(), 0)
    equal(sl.LiveHandles(), 0)
end)

test("what nobody refers to is ended by the collector, with its hooks", function()
    do
        local storage = sl.StorageOpen("memory:")
        local data = sl.SaveDataCreate({ T = { 1 } })
        local _ = { data.T, sl.TableDeepCopy(data), sl.SaveDataParse("{}") }
        local builder = sl.MigratorBuilderCreate()
        builder:AddMigratorFrom(1, function() end)
        builder:AddPatcherFor(1, function() end)
        builder:Build()
        sl.ProductPurchaserCreate()
        sl.DummyPPP_FromIds(function() end, 1)
        local spec = sl.LockerSpec({ DataStore = storage, SaveDataTemplate = {} })
        sl.RemoteChangeSenderCreate(spec)
        sl.LockerCreate(spec, "player/idle"):Update(check.now())
        local store = sl.EasyStoreCreate(storage, { SaveDataTemplate = {} })
        local profile = store:StartSession("player/ann")
        frames(store)
        profile:WhenChangesSaved()
        sl.StorageOpenHost(memory.functions())
    end
    collect()
    collect()
    equal(sl.LiveHandles(), 0)
    equal(hooks.count(), 0)
end)

test("reading and writing leave no memory behind", function()
    local data = sl.SaveDataCreate({ Text = ("x"):rep(10000), Bag = { A = {} } })
    local function go_on(count)
        for at = 1, count do
            assert(#data.Text == 10000 and #sl.json(data, "/Text") == 10002)
            assert(data.Bag["name" .. at] == nil and data.Bag.A ~= nil)
        end
        collect()
        return resident_kilobytes()
    end
    local before = go_on(2000)
    for at = 1, 200000 do
        assert(data.Bag["other name" .. at] == nil)
    end
    local growth = go_on(2000) - before
    assert(growth < 8192, ("memory has grown by %d kB"):format(growth))
end)

test("what is over is not held: profiles, lockers, and what they were used for", function()
    local store = check.store()
    local spec = sl.LockerSpec({ DataStore = sl.StorageOpen("memory:"), SaveDataTemplate = {} })
    local pending = sl.DummyPPP_FromIds(function()
        return true
    end, 1)
    local held = setmetatable({}, { __mode = "v" })
    -- A coroutine, so that no dead place of this stack holds anything.
    coroutine.wrap(function()
        local profile, locker = check.loaded(store), sl.LockerCreate(spec, "player/ann")
        held.profile, held.locker = profile, locker
        pending:Validate(profile)
        locker:MarkShouldAcquire({})
        frames(locker)
        pending:Validate(locker)
        locker:MarkShouldRelease()
        profile:EndSession()
        frames(store)
    end)()
    collect()
    equal(held.profile, nil)
    coroutine.wrap(function()
        for _, use_key in ipairs({ "shop", true }) do
            held.locker:MarkShouldAcquire(use_key)
            held.locker:MarkShouldRelease(use_key)
        end
        local keys = 0
        for _ in pairs(held.locker._use_keys) do
            keys = keys + 1
        end
        equal(keys, 1)
        held.locker:MarkShouldRelease(next(held.locker._use_keys))
        check.until_so(held.locker, function()
            return held.locker.IsIdling
        end)
        held.locker:Destroy()
    end)()
    collect()
    collect()
    equal(held.locker, nil)
    spec:Destroy()
    store:Destroy()
end)

test("a locker that is idle is freed by the collector while its spec is there", function()
    local spec = sl.LockerSpec({
        DataStore = sl.StorageOpen("memory:"),
        SaveDataTemplate = {},
        BeforeSave = function() end,
    })
    for at = 1, 100 do
        local locker = sl.LockerCreate(spec, "player/" .. at)
        locker:MarkShouldAcquire()
        frames(locker)
        equal(locker.LoadStatus, "loaded")
        locker:MarkShouldRelease()
        check.until_so(locker, function()
            return locker:Update(check.now())
        end)
        -- As the original says; `Destroy` does it too.
        if at % 2 == 0 then
            locker:MarkDeleted()
        end
    end
    collect()
    collect()
    assert(sl.LiveHandles() < 10, sl.LiveHandles() .. " handles are left")
    spec:Destroy()
end)

test("a locker that is to hold a session is not the collector's, whoever has let go of it", function()
    local spec = sl.LockerSpec({ DataStore = sl.StorageOpen("memory:"), SaveDataTemplate = {} })
    local held = setmetatable({}, { __mode = "v" })
    coroutine.wrap(function()
        held.locker = sl.LockerCreate(spec, "player/ann")
        held.locker:MarkShouldAcquire()
    end)()
    collect()
    frames(held.locker)
    collect()
    equal(held.locker.LoadStatus, "loaded")
    held.locker:MarkShouldRelease()
    frames(held.locker)
    held.locker:Destroy()
    spec:Destroy()
end)

test("the collector ends no session whose store is there", function()
    local store = check.store()
    local heard = check.list()
    check.loaded(store).Saved:Connect(function()
        heard("saved")
    end)
    collect()
    check.later(1000)
    frames(store)
    equal(#heard > 0, true)
    local data = check.loaded(store, "player/ben").data
    collect()
    data.Gold = 5
    equal(data.Gold, 5)
    store:Destroy()
end)

test("a profile that is finished is an error to use, and its properties say so", function()
    local store = check.store()
    local profile = check.loaded(store)
    local data = profile.data
    profile:EndSession()
    frames(store)
    for _, name in ipairs({
        "MarkShouldSave", "MarkForceSave", "WhenChangesSaved", "GetSaveDataJson", "GetLostSaveData",
    }) do
        refused("SL_ERROR_INVALID_HANDLE", "profile was destroyed, or is finished", profile[name], profile)
    end
    refused("SL_ERROR_INVALID_HANDLE", nil, profile.WhenLoaded, profile, print)
    refused("SL_ERROR_INVALID_HANDLE", nil, profile.ProductCreditQuery, profile, 1)
    refused("SL_ERROR_INVALID_HANDLE", nil, profile.SetBeforeSave, profile, print)
    refused("SL_ERROR_INVALID_HANDLE", nil, function()
        return data.Gold
    end)
    refused("SL_ERROR_INVALID_HANDLE", nil, function()
        data.Gold = 1
    end)
    profile:EndSession()
    profile:Destroy()
    equal(profile.Key, "player/ann")
    equal(profile.IsActive, false)
    store:Destroy()
end)

test("a store that is destroyed answers whoever waits, and ends its profiles", function()
    local store = check.store()
    local ann, ben = check.loaded(store, "player/ann"), store:StartSession("player/ben")
    local heard = check.list()
    ann.data.Gold = 1
    sl.Spawn(function()
        heard("changes", ann:YieldUntilChangesSaved())
    end)
    sl.Spawn(function()
        heard("loaded", ben:YieldUntilLoaded())
    end)
    local connection = ann:WhenChangesSaved()
    store:Destroy()
    table.sort(heard)
    equal(heard, { "changes false not_saved", "loaded nil" })
    equal(connection.Connected, false)
    equal(connection.Outcome, "not_saved")
    equal(ann.IsFinished, true)
    equal(ben.IsActive, false)
    refused("SL_ERROR_INVALID_HANDLE", nil, store.Update, store, 1)
    refused("SL_ERROR_INVALID_HANDLE", nil, store.StartSession, store, "k")
    store:Destroy()
    equal(store.IsClosed, true)
end)

test("a store that is destroyed by a listener goes when its events are told", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    profile.Saved:Connect(function()
        store:Destroy()
        heard("destroyed", profile.IsFinished)
    end)
    profile.Lifecycle:Connect(function(status)
        heard(status)
    end)
    profile:MarkForceSave()
    frames(store, 1)
    equal(heard, { "destroyed false", "saved" })
    equal(profile.IsFinished, true)
    refused("SL_ERROR_INVALID_HANDLE", nil, store.Update, store, 1)
end)

test("a storage may be destroyed before what was made with it", function()
    local store, storage = check.store()
    storage:Destroy()
    local profile = check.loaded(store)
    equal(profile.IsLoaded, true)
    refused("SL_ERROR_INVALID_HANDLE", "storage", sl.EasyStoreCreate, storage, {})
    store:Destroy()
end)

-- A script that leaves everything as it is.
local CARELESS = [[
    local sl = require("session_locker")
    sl.SetLogCallback(function() end)
    local storage = sl.StorageOpen("memory:")
    local store = sl.EasyStoreCreate(storage, function() return { Gold = 0 } end, { VerboseLogs = true })
    local profile = store:StartSession("player/ann")
    profile:SetBeforeSave(function() end)
    for now = 1, 10 do
        store:Update(now)
    end
    profile.data.Gold = 5
    profile:WhenChangesSaved(function() end)
    profile:CallWhenProductIsProcessedAndSaved(function() return true end,
        { PurchaseId = "p", ProductId = 1 }, function() end)
    store:SendRemoteChanges("player/ben", { { K = "x" } }, { Callback = function() end })
    local spec = sl.LockerSpec({ DataStore = storage, SaveDataCreator = function() end })
    local locker = sl.LockerCreate(spec, "player/cleo")
    locker:Update(1)
]]

ffi.cdef([[
typedef struct lua_State lua_State;
lua_State *luaL_newstate(void);
void luaL_openlibs(lua_State *state);
int luaL_loadstring(lua_State *state, const char *text);
int lua_pcall(lua_State *state, int arguments, int results, int handler);
const char *lua_tolstring(lua_State *state, int index, size_t *length);
void lua_close(lua_State *state);
]])

test("a Lua state that ends without destroying anything leaves nothing that the library would call", function()
    local lua = ffi.C
    collect()
    local before = sl.LiveHandles()
    local state = lua.luaL_newstate()
    lua.luaL_openlibs(state)
    local status = lua.luaL_loadstring(state, CARELESS)
    if status == 0 then
        status = lua.lua_pcall(state, 0, 0, 0)
    end
    if status ~= 0 then
        error(ffi.string(lua.lua_tolstring(state, -1, nil)))
    end
    lua.lua_close(state)
    for _ = 1, 100 do
        sl.LogErrorVariations("after", "that")
    end
    equal(sl.LiveHandles(), before)
end)

test("what is read is not mixed up with what is read in a log of something that the collector ends", function()
    local storage = sl.StorageOpen("memory:")
    local data, other = sl.SaveDataCreate({ Text = ("x"):rep(100) }), sl.SaveDataCreate({ Text = "other" })
    local lines = 0
    sl.SetLogCallback(function()
        lines = lines + 1
        equal(other.Text, "other")
        equal(sl.json(other, "/Text"), '"other"')
    end)
    for _ = 1, 500 do
        -- A send that is not answered is logged when its store goes.
        local store = sl.EasyStoreCreate(storage, { SaveDataTemplate = {}, VerboseLogs = true })
        store:Update(0)
        store:SendRemoteChanges("player/ann", { { K = "x" } })
        for _ = 1, 100 do
            equal(data.Text, ("x"):rep(100))
            equal(#sl.json(data, "/Text"), 102)
        end
    end
    sl.SetLogCallback(nil)
    assert(lines > 100)
end)

test("nothing is left behind by all these tests", function()
    collect()
    collect()
    equal(sl.LiveHandles(), 0)
    equal(hooks.count(), 0)
end)

check.finish("lifetimes")
