/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin's file, opened for good. */
#include "kd-module.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The size of the object behind a symbol as its file states it; 0 when that is not known. */
static size_t
get_symbol_bytes(gconstpointer address, gboolean *is_object)
{
    Dl_info info = {0};
    void *entry = NULL;
    if (dladdr1(address, &info, &entry, RTLD_DL_SYMENT) == 0 || entry == NULL ||
        info.dli_saddr != address) {
        *is_object = TRUE;
        return 0;
    }
    const ElfW(Sym) *symbol = (const ElfW(Sym) *)entry;
    *is_object = ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT;
    return symbol->st_size;
}

/* Whether the descriptor may be read as far as it says; nothing beyond its first 16 bytes is. */
static gboolean
check_symbol(const char *path, gconstpointer address, GError **error)
{
    gboolean is_object = FALSE;
    size_t bytes = get_symbol_bytes(address, &is_object);
    if (!is_object || (bytes > 0 && bytes < sizeof(KdAbi))) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: %s is not a plugin's table", path,
                    KD_PLUGIN_SYMBOL_NAME);
        return FALSE;
    }
    KdAbi abi;
    memcpy(&abi, address, sizeof abi);
    if (abi.magic == KD_ABI_MAGIC && bytes > 0 && abi.struct_size > bytes) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                    "%s: its plugin table says %u bytes and has %" G_GSIZE_FORMAT, path,
                    abi.struct_size, bytes);
        return FALSE;
    }
    return TRUE;
}

/* Whether the file has all that its program headers promise. What is no module at all is left to
 * the dynamic linker, which says so. */
static gboolean
has_all_segments(int fd)
{
    struct stat status = {0};
    ElfW(Ehdr) header = {0};
    if (fstat(fd, &status) < 0 || pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr))) {
        return TRUE;
    }
    uint64_t bytes = (uint64_t)status.st_size;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) segment = {0};
        off_t at = (off_t)(header.e_phoff + i * sizeof segment);
        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment ||
            (segment.p_type == PT_LOAD &&
             (segment.p_offset > bytes || segment.p_filesz > bytes - segment.p_offset))) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The dynamic linker maps what the headers say, and dies of what is not there. */
static gboolean
check_is_whole(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gboolean is_whole = fd < 0 || has_all_segments(fd);
    if (fd >= 0) {
        close(fd);
    }
    if (!is_whole) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: a part of it is missing; install it again",
                    path);
    }
    return is_whole;
}

/* The dynamic linker's sentence, without the path that stands in front of ours anyway. */
static char *
build_linker_message(const char *path)
{
    const char *message = g_module_error();
    if (message == NULL) {
        return g_strdup("the dynamic linker refuses it");
    }
    if (g_str_has_prefix(message, path) && g_str_has_prefix(message + strlen(path), ": ")) {
        message += strlen(path) + 2;
    }
    return g_strdup(message);
}

/**
 * kd_module_open:
 * @path: as kd_trust_resolve() gave it
 *
 * Loads a module for good, every symbol bound now and none of its own visible to others, and finds
 * its descriptor. Only the 16 bytes of #KdAbi may be read before they are accepted.
 *
 * Returns: (transfer none): lives as long as the process; or %NULL with KD_ERROR_ABI
 */
const KdPlugin *
kd_module_open(const char *path, GError **error)
{
    /* GModule would take a libtool archive for directions to another file. */
    if (!g_str_has_suffix(path, ".so")) {
        g_set_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH, "%s: a plugin's name ends in .so", path);
        return NULL;
    }
    if (!check_is_whole(path, error)) {
        return NULL;
    }
    GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);
    if (module == NULL) {
        g_autofree char *message = build_linker_message(path);
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: %s", path, message);
        return NULL;
    }
    g_module_make_resident(module);

    gpointer address = NULL;
    if (!g_module_symbol(module, KD_PLUGIN_SYMBOL_NAME, &address) || address == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: no symbol %s (is it a kdsrv plugin?)", path,
                    KD_PLUGIN_SYMBOL_NAME);
        return NULL;
    }
    if (!check_symbol(path, address, error)) {
        return NULL;
    }
    return address;
}
