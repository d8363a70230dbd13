/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to typed values, by tables: `scheme:key=value,flag,key=@{nested}`. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Limits of one string, before anything is allocated from it */
#define KD_PARAMS_MAX_BYTES  4096u /* the whole text                  */
#define KD_PARAMS_MAX_ITEMS  64u   /* items on one level              */
#define KD_PARAMS_MAX_DEPTH  8u    /* @{ @{ } }                       */
#define KD_PARAMS_MAX_SCHEME 32u   /* bytes before the colon          */

/* The form in which a string is used; decides which keys may and must stand. */
typedef enum {
    KD_FORM_SERVER = 1, /* kdsrv -t; becomes SERVER_CLICON when clicon= stands in it */
    KD_FORM_CLIENT = 2, /* kd;       becomes CLIENT_CLICON when clicon= stands in it */
    KD_FORM_SERVER_CLICON = 3,
    KD_FORM_CLIENT_CLICON = 4,
    KD_FORM_TARGET = 5, /* a target link: every key */
} KdForm;

/**
 * KdParamsEnvironment:
 *
 * Looks up a variable of the process's environment: getenv() in a server, a table in a test.
 * Returns: (nullable): borrowed
 */
typedef const char *(*KdParamsEnvironment)(const char *variable, void *user);

/**
 * KdParamsSource:
 * @environment: (nullable): supplies keys that were left out and name a variable
 * @user: for @environment
 * @machine: (nullable): host name for the message when a variable is missing too
 *
 * Where values that the text does not have come from.
 */
typedef struct {
    KdParamsEnvironment environment;
    void *user;
    const char *machine;
} KdParamsSource;

gboolean kd_params_split(const char *text, char **scheme, char **items,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
GVariant *kd_params_parse(const char *scheme, const KdParamSpec *table, KdForm form,
                          const char *items, const KdParamsSource *source,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdForm kd_params_get_form(const KdParamSpec *table, KdForm form, GVariant *params);
char *kd_params_build_listing(const char *scheme, const KdParamSpec *table, GVariant *params,
                              GVariant *bound);
gboolean kd_params_is_in_braced_uri(const char *text, const char *at);
char *kd_params_build_masked(const char *scheme, const KdParamSpec *table, const char *items);
char *kd_params_build_usage(const char *scheme, const KdParamSpec *table, KdForm form);
char *kd_params_build_help(const char *scheme, const KdParamSpec *table, KdForm form);
char **kd_params_build_completions(const char *scheme, const KdParamSpec *table, KdForm form,
                                   const char *prefix);
char **kd_params_build_bad_inputs(const char *scheme, const KdParamSpec *table, KdForm form);
gboolean kd_params_is_torn(int argc, char *const *argv);
