/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "control.h"
#include "diag.h"
#include "launch.h"
#include "policy_send.h"
#include "util.h"

static int service(struct diag *d)
{
	int fd = control_connect(CONTROL_SOCKET);

	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return diag_set(d, fd, "egressd is not running");
	return fd < 0 ? diag_set(d, fd, "cannot reach egressd: %s", strerror(-fd)) : fd;
}

static int report(int err, int status, const struct diag *d)
{
	if (!err)
		return 0;
	diag_print(stderr, "egressctl", d);
	return status ? status : LAUNCH_FAILED;
}

int client_ask(const json_t *request, json_t **answer, int *status, struct diag *d)
{
	int fd = service(d), err;

	*status = LAUNCH_FAILED;
	if (fd < 0)
		return fd;
	err = control_call(fd, request, NULL, 0, NULL, NULL, answer, status, d);
	close(fd);
	return err;
}

int client_call(const json_t *request, json_t **answer)
{
	struct diag d = {};
	int status, err = client_ask(request, answer, &status, &d);

	return report(err, status, &d);
}

int client_unknown(uint64_t sandbox, struct diag *d)
{
	json_t *request = json_pack("{s:s, s:I}", "op", "find", "sandbox", (json_int_t)sandbox);
	json_t *answer = NULL;
	struct diag why = {};
	int status, err;

	err = client_ask(request, &answer, &status, &why);
	json_decref(request);
	json_decref(answer);
	if (!err)
		return 0;
	/* 1: there is none; else egressd cannot be asked, and the log is all there is */
	return diag_set(d, -ENOENT, "nothing of sandbox %llu is in the log%s%s",
			(unsigned long long)sandbox, status == 1 ? ", and there is " : "",
			status == 1 ? why.msg : "");
}

int client_call_policies(json_t *request, json_t **answer)
{
	struct diag d = {};
	int status = 0, err;
	int fd = service(&d);

	if (fd < 0)
		return report(fd, LAUNCH_FAILED, &d);
	for (;;) {
		const json_t *need;

		err = control_call(fd, request, NULL, 0, NULL, NULL, answer, &status, &d);
		need = err ? NULL : json_object_get(*answer, "need");
		if (!need)
			break;
		err = policy_send_needed(request, need, &d);
		json_decref(*answer);
		*answer = NULL;
		if (err) {
			status = LAUNCH_USAGE;
			break;
		}
	}
	close(fd);
	return report(err, status, &d);
}

int client_fail(const char *message)
{
	struct diag d = {};

	return report(diag_set(&d, -EIO, "%s", message), LAUNCH_FAILED, &d);
}

long long client_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *client_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}
