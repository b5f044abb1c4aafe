--- Signals, as the original's platform has them: `profile.Loaded:Connect(function() … end)`.
--
-- A listener runs in a coroutine of its own, and its errors go to the error handler, so no listener
-- can keep another from hearing. One that is connected while the signal fires hears the next time; one
-- that is disconnected meanwhile hears no more.

local native = require("session_locker.native")
local tasks = require("session_locker.tasks")

local Signal = {}
Signal.__index = Signal

local Connection = {}
Connection.__index = Connection

--- Ends the connection: its listener is not called any more. `connection.Connected` is false from then
-- on. Again does nothing.
function Connection:Disconnect()
    if not self.Connected then
        return
    end
    self.Connected = false
    local kept = {}
    for _, connection in ipairs(self._signal._connections) do
        if connection ~= self then
            kept[#kept + 1] = connection
        end
    end
    -- A new array, for the signal may be going through the old one.
    self._signal._connections = kept
end
Connection.Destroy = Connection.Disconnect

function Signal.new(name)
    return setmetatable({ Name = name, _connections = {} }, Signal)
end

local function connect(signal, listener, is_once)
    native.expect(listener, "function", "a listener")
    local connection = setmetatable({
        Connected = true,
        _signal = signal,
        _listener = listener,
        _is_once = is_once,
    }, Connection)
    local connections = {}
    for at, other in ipairs(signal._connections) do
        connections[at] = other
    end
    connections[#connections + 1] = connection
    signal._connections = connections
    return connection
end

--- Calls a function every time the signal fires, with what the signal says. Gives a connection with
-- `Disconnect()` and `Connected`.
function Signal:Connect(listener)
    return connect(self, listener, false)
end

--- Calls a function the next time the signal fires, and not again.
function Signal:Once(listener)
    return connect(self, listener, true)
end

--- Suspends the coroutine until the signal fires, and gives what it says.
function Signal:Wait()
    return tasks.await(self.Name .. ":Wait", function(wait)
        self:Once(function(...)
            tasks.finish(wait, ...)
        end)
    end)
end

--- Fires it, for who owns it.
function Signal:_fire(...)
    local connections = self._connections
    for at = 1, #connections do
        local connection = connections[at]
        if connection.Connected then
            if connection._is_once then
                connection:Disconnect()
            end
            tasks.Spawn(connection._listener, ...)
        end
    end
end

return Signal
