--- Where the native library and its declarations are found.
--
-- The library is, in this order: `path`, if a script has set it before it requires "session_locker";
-- the environment variable SESSION_LOCKER_LIBRARY; what the system finds as "session_locker"
-- (libsession_locker.so on Linux). A program that has the library linked in sets `path` to false.
--
--     require("session_locker.library").path = "/opt/game/libsession_locker.so"
--     local sl = require("session_locker")

local ffi = require("ffi")

local library = {
    --- A file, or a name for `ffi.load`; false for the symbols of the program itself.
    path = os.getenv("SESSION_LOCKER_LIBRARY"),
    --- The declarations: session_locker_cdef.h, beside session_locker.lua unless it is set.
    declarations = nil,
}

local function beside_front_module()
    local here = debug.getinfo(1, "S").source:match("^@(.*)session_locker[/\\]library%.lua$")
    return (here or "") .. "session_locker_cdef.h"
end

--- Declares the functions and loads the library, once: for "session_locker" itself.
function library.open()
    local file = assert(io.open(library.declarations or beside_front_module(), "r"))
    local declarations = file:read("*a")
    file:close()
    -- A script that loads its modules anew, to change them as it runs, has declared everything already.
    if not pcall(ffi.typeof, "SlEvent") then
        ffi.cdef(declarations)
    end
    if library.path == false then
        return ffi.C
    end
    local ok, opened = pcall(ffi.load, library.path or "session_locker")
    if not ok then
        error("session_locker: the native library is not found: " .. opened
            .. "; SESSION_LOCKER_LIBRARY, or the field path of session_locker.library, says where it is", 0)
    end
    return opened
end

return library
