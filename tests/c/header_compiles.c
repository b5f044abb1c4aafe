/* The header needs nothing before it, may be included twice, and says what it must. */
#include "session_locker.h"
#include "session_locker.h"

#include "check.h"

int main(void) {
    SlStatus status = SL_ERROR_HOOK;
    SlBuffer buffer;
    SlText text;

    CHECK(sizeof(status) == 4 && status < 0);
    CHECK(sizeof buffer == 24 && sizeof text == 16);
    CHECK(sizeof(SlStorageCallbacks) == 64 && sizeof(SlStorageCommit) == 72);
    CHECK(sizeof(SlEasyStoreConfig) == 240 && sizeof(SlLockerSpecConfig) == 256);
    CHECK(sizeof(SlClock) == 48 && sizeof(SlEvent) == 160);
    CHECK(sizeof(SlErrorReport) == 128 && sizeof(SlProductCall) == 56);
    CHECK(sizeof(SlReceiptInfo) == 64 && sizeof(SlRemoteChangeSenderConfig) == 64);
    CHECK(sizeof(SlSessionOptions) == 40 && sizeof(SlSendOptions) == 24);
    CHECK(sizeof(SlRequestStats) == 368 && SL_LATENCY_BUCKETS == 24 && SL_LATENCY_FIRST_US == 16);
    CHECK(sizeof(SlUnsaved) == 40 && sizeof(SlUnsent) == 48);
    CHECK(SL_NUL_TERMINATED == (size_t)-1);
    CHECK(1 -SL_ERROR_INVALID_HANDLE == 2);
    CHECK(strcmp(session_locker_version(), "0.") > 0);
    CHECK(strcmp(session_locker_status_name(SL_ERROR_BUSY), "SL_ERROR_BUSY") == 0);
    CHECK(strcmp(session_locker_status_name(1), "unknown status") == 0);
    return finish("header_compiles");
}
