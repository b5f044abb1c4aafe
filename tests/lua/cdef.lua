-- LuaJIT's ffi.cdef takes the generated file as it is, and the library answers through it.
local cdef_path, library_path = ...

local ffi = require("ffi")
local file = assert(io.open(cdef_path))
ffi.cdef(file:read("*a"))
file:close()

local library = ffi.load(library_path)
local NUL_TERMINATED = -1ULL

local data = ffi.new("SlSaveData *[1]")
assert(library.save_data_create('{"Gold":12}', NUL_TERMINATED, data) == library.SL_OK)
local gold = ffi.new("int64_t[1]")
assert(library.save_data_get_i64(data[0], "/Gold", NUL_TERMINATED, gold) == library.SL_OK)
assert(gold[0] == 12)
assert(library.save_data_destroy(data[0]) == library.SL_OK)
assert(library.save_data_destroy(data[0]) == library.SL_ERROR_INVALID_HANDLE)
print("luajit: the declarations are taken, library version "
    .. ffi.string(library.session_locker_version()))
