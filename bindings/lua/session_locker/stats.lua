--- Figures of what was asked of a storage, and how it has answered.

local ffi = require("ffi")
local native = require("session_locker.native")

local C = native.C

local stats = {}

local FIELDS = {
    Fetches = "fetches",
    Commits = "commits",
    Erasures = "erasures",
    Lists = "lists",
    Retries = "retries",
    Conflicts = "conflicts",
    FailuresScript = "failures_script",
    FailuresMisc = "failures_misc",
    FailuresBackend = "failures_backend",
    GivenUp = "given_up",
    Refused = "refused",
    BytesRead = "bytes_read",
    BytesWritten = "bytes_written",
    InFlight = "in_flight",
    MostInFlight = "most_in_flight",
}

local function by_priority(raw, prefix)
    return {
        Saves = tonumber(raw[prefix .. "saves"]),
        Loads = tonumber(raw[prefix .. "loads"]),
        Others = tonumber(raw[prefix .. "others"]),
    }
end

--- Reads the figures of an object with its C function, into a table of numbers: `Fetches`, `Commits`,
-- `Erasures`, `Lists`, and how many of these were `Retries`; `Conflicts`, `FailuresScript`, `FailuresMisc`
-- and `FailuresBackend` among the answers; `GivenUp` and `Refused` for those without; `BytesRead`,
-- `BytesWritten`; `InFlight` and `Waiting` now, `MostInFlight` and `MostWaiting` ever, where those who wait
-- are `Saves`, `Loads` and `Others`; and `Latencies`, an array: how many answers took less than the bound of
-- the same index in `LatencyBounds`, in seconds, and at least the bound before. SlRequestStats in the C
-- header says more.
function stats.read(call, handle)
    local raw = ffi.new("SlRequestStats", { struct_size = ffi.sizeof("SlRequestStats") })
    native.check(call(handle, raw))
    local told = {
        Waiting = by_priority(raw, "waiting_"),
        MostWaiting = by_priority(raw, "most_waiting_"),
        Latencies = {},
        LatencyBounds = {},
    }
    for name, field in pairs(FIELDS) do
        told[name] = tonumber(raw[field])
    end
    for bucket = 1, C.SL_LATENCY_BUCKETS do
        told.Latencies[bucket] = tonumber(raw.latencies[bucket - 1])
        told.LatencyBounds[bucket] = C.SL_LATENCY_FIRST_US * 2 ^ (bucket - 1) / 1e6
    end
    told.LatencyBounds[C.SL_LATENCY_BUCKETS] = math.huge
    return told
end

return stats
