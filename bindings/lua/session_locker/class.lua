--- Objects with methods and with properties that are asked for when they are read.

local native = require("session_locker.native")

local class = {}

--- Makes the metatable of objects with these methods; `getters` give properties, `setters` take them. A
-- script may keep fields of its own in an object, under any other name.
function class.new(methods, getters, setters)
    local meta = {}

    function meta.__index(self, key)
        local getter = getters[key]
        if getter ~= nil then
            return getter(self)
        end
        return methods[key]
    end

    function meta.__newindex(self, key, value)
        local setter = setters and setters[key]
        if setter ~= nil then
            return setter(self, value)
        elseif getters[key] ~= nil or methods[key] ~= nil then
            native.misuse(tostring(key) .. " cannot be assigned")
        end
        rawset(self, key, value)
    end

    return meta
end

--- The object's handle; an error once it was destroyed.
function class.handle(self, what)
    if type(self) ~= "table" then
        native.misuse(("a %s is needed, not a %s; a method is called with a colon"):format(what, type(self)))
    end
    local handle = rawget(self, "_handle")
    if handle == nil then
        native.refuse("SL_ERROR_INVALID_HANDLE", "this " .. what .. " was destroyed, or is finished")
    end
    return handle
end

return class
