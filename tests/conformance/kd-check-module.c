/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file under test: loaded as a server does it, and looked at from outside. */
#include "kd-check.h"

#include <elf.h>
#include <link.h>
#include <string.h>

/**
 * kd_check_load:
 *
 * Loads a module and leaves it loaded.
 *
 * Returns: (transfer none) (nullable): its table
 */
const KdPlugin *
kd_check_load(const char *file, GError **error)
{
    gpointer symbol = NULL;
    GModule *module = g_module_open(file, G_MODULE_BIND_LOCAL);
    if (module == NULL || !g_module_symbol(module, KD_PLUGIN_SYMBOL_NAME, &symbol)) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s", g_module_error());
        return NULL;
    }
    g_module_make_resident(module);
    const KdPlugin *plugin = symbol;
    if (plugin->abi.magic != KD_ABI_MAGIC || plugin->abi.major != KD_ABI_MAJOR ||
        plugin->abi.minor_needed > KD_ABI_MINOR || plugin->abi.struct_size < sizeof(KdAbi)) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: not of plugin ABI %d.%d", file,
                    KD_ABI_MAJOR, KD_ABI_MINOR);
        return NULL;
    }
    return plugin;
}

/* All lengths and offsets come from the file: whatever does not lie in it is not there. */
static const void *
get_part(const char *bytes, gsize len, guint64 offset, guint64 part_len)
{
    return offset <= len && part_len <= len - offset ? bytes + offset : NULL;
}

static void
collect_exports(GStrvBuilder *exports, const char *bytes, gsize len, const ElfW(Shdr) * symbols,
                const ElfW(Shdr) * strings)
{
    const char *names = get_part(bytes, len, strings->sh_offset, strings->sh_size);
    const ElfW(Sym) *table = get_part(bytes, len, symbols->sh_offset, symbols->sh_size);
    if (names == NULL || table == NULL)
        return;
    for (size_t i = 0; i < symbols->sh_size / sizeof *table; i++) {
        unsigned bind = ELF64_ST_BIND(table[i].st_info);
        if (table[i].st_shndx == SHN_UNDEF || bind == STB_LOCAL ||
            table[i].st_name >= strings->sh_size)
            continue;
        g_autofree char *name =
            g_strndup(names + table[i].st_name, strings->sh_size - table[i].st_name);
        g_strv_builder_add(exports, name);
    }
}

/**
 * kd_check_build_exports:
 *
 * Returns: (transfer full) (nullable): the names of all symbols that a shared object defines for
 *    others
 */
char **
kd_check_build_exports(const char *file, GError **error)
{
    g_autoptr(GMappedFile) mapped = g_mapped_file_new(file, FALSE, error);
    if (mapped == NULL)
        return NULL;
    const char *bytes = g_mapped_file_get_contents(mapped);
    gsize len = g_mapped_file_get_length(mapped);
    const ElfW(Ehdr) *header = get_part(bytes, len, 0, sizeof *header);
    const ElfW(Shdr) *sections =
        header != NULL
            ? get_part(bytes, len, header->e_shoff, (guint64)header->e_shnum * sizeof *sections)
            : NULL;
    if (sections == NULL || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: not a shared object of this machine", file);
        return NULL;
    }
    g_autoptr(GStrvBuilder) exports = g_strv_builder_new();
    for (size_t i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type == SHT_DYNSYM && sections[i].sh_link < header->e_shnum)
            collect_exports(exports, bytes, len, &sections[i], &sections[sections[i].sh_link]);
    }
    return g_strv_builder_end(exports);
}
