// One session by way of an installed library, in C++.
#if __has_include(<session_locker.hpp>)
#include <session_locker.hpp>
#endif
#include "game.c"
