/* A PKCS#11 module as slow as an HSM behind a network: one P-256 key, and a time that each signature takes.
 *
 * SLOW_HSM_MODULE         path of the module (SoftHSM) that has the token, its login, sessions and objects
 * SLOW_HSM_KEY            PEM file of the private key, which the token holds too
 * SLOW_HSM_MICROSECONDS   how long one C_Sign takes, the real signature included
 * SLOW_HSM_ENGINES        how many signatures the device makes at once; others wait, as in a device
 * SLOW_HSM_DAMAGED        1 where one bit of every eighth signature is wrong; none is otherwise
 *
 * C_SignInit and C_Sign are made here, by OpenSSL, because a real device signs with a processor of its own, and
 * SoftHSM would take four times as much of this machine's. Everything else is SoftHSM.
 *
 * The layout of CK_FUNCTION_LIST (PKCS #11 v2.40, 3.6) is a version, padded to the size of a pointer, and 68
 * functions in a fixed order, of which C_SignInit is the 43rd and C_Sign the 44th. OpenSSL's functions are found
 * by name. So headers of neither are needed.
 */

#include <dlfcn.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define FUNCTIONS 68
#define C_SIGN_INIT 42
#define C_SIGN 43
#define CKM_ECDSA 0x1041UL
#define CKR_OK 0UL
#define CKR_GENERAL_ERROR 5UL
#define CKR_DEVICE_ERROR 0x30UL
#define CKR_MECHANISM_INVALID 0x70UL
#define CKR_BUFFER_TOO_SMALL 0x150UL
#define HALF 32

struct function_list {
    unsigned char version[2];
    void *functions[FUNCTIONS];
};

static struct function_list own;
static void *key;
static long duration;
static sem_t engines;
static long damaged;
static atomic_ulong made;

static void *(*context_new)(void *, void *);
static void (*context_free)(void *);
static int (*sign_init)(void *);
static int (*sign)(void *, unsigned char *, size_t *, const unsigned char *, size_t);

static unsigned long slow_sign_init(unsigned long session, unsigned long *mechanism, unsigned long handle)
{
    (void)session;
    (void)handle;
    return mechanism[0] == CKM_ECDSA ? CKR_OK : CKR_MECHANISM_INVALID;
}

/* An INTEGER of DER, of which at most one byte is a zero before HALF others; returns where it ends. */
static const unsigned char *take_integer(const unsigned char *der, unsigned char *half)
{
    size_t length = der[1];
    const unsigned char *value = der + 2;
    const unsigned char *end = value + length;

    while (length > HALF) {
        value++;
        length--;
    }
    memset(half, 0, HALF);
    memcpy(half + HALF - length, value, length);
    return end;
}

static unsigned long sign_digest(const unsigned char *data, unsigned long size, unsigned char *signature)
{
    unsigned char der[128];
    size_t length = sizeof der;
    void *context = context_new(key, NULL);
    int done = context != NULL && sign_init(context) == 1 && sign(context, der, &length, data, size) == 1;

    context_free(context);
    if (!done)
        return CKR_DEVICE_ERROR;
    /* A SEQUENCE of less than 128 bytes: two bytes before r. */
    take_integer(take_integer(der + 2, signature), signature + HALF);
    return CKR_OK;
}

static unsigned long slow_sign(unsigned long session, unsigned char *data, unsigned long size,
                               unsigned char *signature, unsigned long *length)
{
    struct timespec end;
    unsigned long code;

    (void)session;
    if (*length < 2 * HALF)
        return CKR_BUFFER_TOO_SMALL;
    *length = 2 * HALF;
    while (sem_wait(&engines) != 0)
        continue;
    /* Without it the kernel lets a thread sleep up to 50 microseconds longer. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += duration * 1000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    code = sign_digest(data, size, signature);
    if (damaged && atomic_fetch_add(&made, 1) % 8 == 7)
        signature[HALF] ^= 1;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) != 0)
        continue;
    sem_post(&engines);
    return code;
}

static int load_key(const char *path)
{
    void *(*read_key)(FILE *, void **, void *, void *);
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    FILE *file = path == NULL ? NULL : fopen(path, "r");

    if (library == NULL || file == NULL)
        return 0;
    *(void **)&read_key = dlsym(library, "PEM_read_PrivateKey");
    *(void **)&context_new = dlsym(library, "EVP_PKEY_CTX_new");
    *(void **)&context_free = dlsym(library, "EVP_PKEY_CTX_free");
    *(void **)&sign_init = dlsym(library, "EVP_PKEY_sign_init");
    *(void **)&sign = dlsym(library, "EVP_PKEY_sign");
    key = read_key(file, NULL, NULL, NULL);
    fclose(file);
    return key != NULL;
}

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtol(text, NULL, 10);
}

unsigned long C_GetFunctionList(struct function_list **list)
{
    unsigned long (*get)(struct function_list **);
    unsigned long (*init)(unsigned long, unsigned long *, unsigned long) = slow_sign_init;
    unsigned long (*last)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *) =
        slow_sign;
    struct function_list *inner;
    const char *path = getenv("SLOW_HSM_MODULE");
    void *library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL || !load_key(getenv("SLOW_HSM_KEY")))
        return CKR_GENERAL_ERROR;
    *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (get == NULL || get(&inner) != CKR_OK)
        return CKR_GENERAL_ERROR;
    memcpy(&own, inner, sizeof own);
    memcpy(&own.functions[C_SIGN_INIT], &init, sizeof init);
    memcpy(&own.functions[C_SIGN], &last, sizeof last);
    duration = setting("SLOW_HSM_MICROSECONDS", 5000);
    damaged = setting("SLOW_HSM_DAMAGED", 0);
    sem_init(&engines, 0, (unsigned int)setting("SLOW_HSM_ENGINES", 32));
    *list = &own;
    return CKR_OK;
}
