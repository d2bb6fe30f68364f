/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kamailio's private memory (pkg) from malloc, so that a memory checker sees each piece of it. Preloaded into a
 * Kamailio: the first module that is loaded finds its memory in place and replaces the functions. What was taken
 * from the pool before goes back to the pool. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem/memapi.h"

extern sr_pkg_api_t _pkg_root __attribute__((weak));
extern unsigned long pkg_mem_size __attribute__((weak));

static sr_pkg_api_t pool;

static int from_pool(void *piece)
{
	uintptr_t at = (uintptr_t)piece, start = (uintptr_t)pool.mem_pool;

	return at >= start && at < start + pkg_mem_size;
}

static void *take(void *block, size_t size, const char *file, const char *function, unsigned int line,
		const char *module)
{
	(void)block, (void)file, (void)function, (void)line, (void)module;
	return malloc(size);
}

static void *take_zeroed(void *block, size_t size, const char *file, const char *function, unsigned int line,
		const char *module)
{
	(void)block, (void)file, (void)function, (void)line, (void)module;
	return calloc(1, size);
}

static void give_back(void *block, void *piece, const char *file, const char *function, unsigned int line,
		const char *module)
{
	if(from_pool(piece))
		pool.xfree(block, piece, file, function, line, module);
	else
		free(piece);
}

static void *resize(void *block, void *piece, size_t size, const char *file, const char *function,
		unsigned int line, const char *module)
{
	if(from_pool(piece))
		return pool.xrealloc(block, piece, size, file, function, line, module);
	return realloc(piece, size);
}

static void *resize_or_free(void *block, void *piece, size_t size, const char *file, const char *function,
		unsigned int line, const char *module)
{
	void *resized = resize(block, piece, size, file, function, line, module);

	if(resized == NULL && piece != NULL)
		give_back(block, piece, file, function, line, module);
	return resized;
}

void *dlopen(const char *name, int flags)
{
	void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");

	if(&_pkg_root != NULL && _pkg_root.xmalloc != NULL && pool.xmalloc == NULL) {
		memcpy(&pool, &_pkg_root, sizeof(pool));
		_pkg_root.xmalloc = take;
		_pkg_root.xmallocxz = take_zeroed;
		_pkg_root.xfree = give_back;
		_pkg_root.xrealloc = resize;
		_pkg_root.xreallocxf = resize_or_free;
	}
	return next(name, flags);
}
