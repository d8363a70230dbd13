/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client that says anything where TLS is expected; it may also behave, up to some byte. */
#include "kd-fuzz-tls.h"
#include "kd-fuzz.h"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    kd_fuzz_tls_start(KD_TLS_SERVER, *argc, *argv);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KdFuzzInput input = {data, size};
    uint8_t options = kd_fuzz_take_byte(&input);
    uint8_t most = kd_fuzz_take_byte(&input);

    (void)kd_fuzz_tls_repeat(options, most, input);
    return 0;
}
