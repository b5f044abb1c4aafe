--- What the library costs a script in Lua: the best of several rounds of each, in nanoseconds.

local ffi = require("ffi")
local events = require("session_locker.events")
local sl = require("session_locker")

local ROUNDS = 7

ffi.cdef([[
typedef struct { long seconds; long nanoseconds; } SlBenchTime;
int clock_gettime(int clock, SlBenchTime *time);
]])

local time = ffi.new("SlBenchTime")

local function now_ns()
    ffi.C.clock_gettime(1, time)
    return tonumber(time.seconds) * 1e9 + tonumber(time.nanoseconds)
end

local function measure(count, body)
    local best = math.huge
    for _ = 1, ROUNDS do
        local begin = now_ns()
        body(count)
        best = math.min(best, (now_ns() - begin) / count)
    end
    return best
end

local function row(name, figure, goal)
    print(("%-58s %8.1f ns   %s"):format(name, figure, goal and ("goal: under %d"):format(goal) or ""))
end

local store = sl.EasyStoreCreate(sl.StorageOpen("memory:"), {
    SaveDataTemplate = { Gold = 0, Name = "Ann", Luck = 0.5, Stats = { Level = 1 }, Items = { 1, 2, 3 } },
})
local profile = store:StartSession("player/ann")
local now = 0
while not profile.IsLoaded do
    now = now + 1
    store:Update(now)
end

local function fields()
    row("a field is read: profile.data.Gold", measure(1e6, function(count)
        local sum = 0
        for _ = 1, count do
            sum = sum + profile.data.Gold
        end
        return sum
    end), 150)
    row("a field is written: profile.data.Gold = n", measure(1e6, function(count)
        for at = 1, count do
            profile.data.Gold = at
        end
    end), 300)
    row("read and written: profile.data.Gold = profile.data.Gold + 1", measure(1e6, function(count)
        for _ = 1, count do
            profile.data.Gold = profile.data.Gold + 1
        end
    end))
    row("a field in a field is read: profile.data.Stats.Level", measure(3e5, function(count)
        local sum = 0
        for _ = 1, count do
            sum = sum + profile.data.Stats.Level
        end
        return sum
    end))
    row("an element is read: profile.data.Items[2]", measure(3e5, function(count)
        local sum = 0
        for _ = 1, count do
            sum = sum + profile.data.Items[2]
        end
        return sum
    end))
    row("a string is read: profile.data.Name", measure(3e5, function(count)
        local length = 0
        for _ = 1, count do
            length = length + #profile.data.Name
        end
        return length
    end))
    row("by JSON Pointer: get(data, \"/Stats/Level\")", measure(3e5, function(count)
        local sum, data = 0, profile.data
        for _ = 1, count do
            sum = sum + sl.get(data, "/Stats/Level")
        end
        return sum
    end))
end

local EVENTS = 10000

-- Events that nobody listens to: how long it takes to go through an array that one poll has filled.
local function polled_events()
    local calls = require("session_locker.native").calls
    local batch, count = ffi.new("SlEvent[?]", EVENTS), ffi.new("size_t[1]")
    local words = ffi.cast("uint32_t *", batch)
    local best, best_poll = math.huge, math.huge
    for _ = 1, ROUNDS do
        for _ = 1, EVENTS do
            profile:ProductCreditGive(1, 1)
        end
        now = now + 1
        assert(calls.easy_store_update(store._handle, now) == 0)
        local begin = now_ns()
        assert(calls.easy_store_poll_event(store._handle, batch, EVENTS, count) == 0)
        local polled = now_ns()
        assert(tonumber(count[0]) == EVENTS)
        assert(events.next_heard(store, words, 0, EVENTS) == EVENTS)
        best = math.min(best, (now_ns() - polled) / EVENTS)
        best_poll = math.min(best_poll, (polled - begin) / EVENTS)
    end
    row("one of ten thousand polled events is gone through", best, 20)
    row("the library's part of it: easy_store_poll_event", best_poll)

    profile.ProductCreditChanged:Connect(function() end)
    row("an event is told to a listener, credit and all", measure(EVENTS, function(events_count)
        for _ = 1, events_count do
            profile:ProductCreditGive(1, 1)
        end
        now = now + 1
        store:Update(now)
    end))
end

local function frames()
    row("an idle frame: store:Update(now)", measure(1e5, function(count)
        for _ = 1, count do
            now = now + 1e-6
            store:Update(now)
        end
    end))
    local pending = sl.DummyPPP_FromIds(function()
        return true
    end, 1)
    row("a hook is called and answers: pending:Validate(profile)", measure(1e5, function(count)
        for _ = 1, count do
            pending:Validate(profile)
        end
    end))
end

print("LuaJIT, " .. (jit.status() and "compiled" or "interpreted"))
fields()
polled_events()
frames()
store:Destroy()
