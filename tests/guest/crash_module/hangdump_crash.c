// SPDX-License-Identifier: GPL-2.0
/*
 * Crashes the kernel of a test guest in one of the ways that production knows: one function a class, named for what it
 * does, in a kernel thread named for the class. `insmod hangdump_crash.ko crash_class=soft-lockup` returns at once.
 *
 * Never a part of what is deployed. The functions are noinline, so that a stack names them.
 */
#include <linux/bug.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

static char *crash_class = "";
module_param(crash_class, charp, 0);

static DEFINE_MUTEX(hangdump_contended_mutex);

/* Read and written, so that the compiler keeps the loops and the recursion. */
static volatile unsigned long hangdump_rounds;

/* The end of insmod waits for all processors: behind a deaf one it would never come, and keep a processor busy. */
static void hangdump_let_insmod_end(void)
{
	schedule_timeout_idle(3 * HZ);
}

static noinline int hangdump_spin_with_interrupts_off(void *unused)
{
	hangdump_let_insmod_end();
	local_irq_disable();
	/* Whoever sends the interrupt waits for this on the console. */
	pr_emerg("hangdump_crash: this processor hears nothing any more\n");
	while (hangdump_rounds != ULONG_MAX)
		cpu_relax();
	local_irq_enable();
	return 0;
}

static noinline int hangdump_spin_without_scheduling(void *unused)
{
	preempt_disable();
	while (hangdump_rounds != ULONG_MAX)
		cpu_relax();
	preempt_enable();
	return 0;
}

static noinline int hangdump_read_for_ever(void *unused)
{
	rcu_read_lock();
	while (hangdump_rounds != ULONG_MAX)
		cpu_relax();
	rcu_read_unlock();
	return 0;
}

/*
 * Its own processor cannot tell of the stall: another one does. That one tells only of a grace period that has begun,
 * and soon waits for this one too, so that it can begin none. Begun in here, a grace period cannot end.
 */
static noinline int hangdump_read_with_interrupts_off(void *unused)
{
	hangdump_let_insmod_end();
	rcu_read_lock();
	start_poll_synchronize_rcu();
	mdelay(1000);
	local_irq_disable();
	while (hangdump_rounds != ULONG_MAX)
		cpu_relax();
	local_irq_enable();
	rcu_read_unlock();
	return 0;
}

/* Not uninterruptible itself: the hung task is the one that waits for the mutex, the cause is the one that holds it. */
static noinline int hangdump_hold_the_mutex(void *unused)
{
	mutex_lock(&hangdump_contended_mutex);
	while (!kthread_should_stop())
		schedule_timeout_idle(HZ);
	mutex_unlock(&hangdump_contended_mutex);
	return 0;
}

static noinline int hangdump_wait_for_the_mutex(void *unused)
{
	while (!mutex_is_locked(&hangdump_contended_mutex))
		schedule_timeout_idle(1);
	mutex_lock(&hangdump_contended_mutex);
	hangdump_rounds++;
	mutex_unlock(&hangdump_contended_mutex);
	return 0;
}

static noinline int hangdump_follow_a_null_pointer(void *unused)
{
	volatile unsigned long *pointer = (unsigned long *)(hangdump_rounds * sizeof(long));

	hangdump_rounds = *pointer;
	return 0;
}

/* Behind what vmalloc gives lies a page that is not there. */
static noinline int hangdump_run_off_the_end(void *unused)
{
	volatile char *page = vmalloc(PAGE_SIZE);

	if (page)
		hangdump_rounds = page[hangdump_rounds + PAGE_SIZE];
	return 0;
}

static noinline int hangdump_break_an_assertion(void *unused)
{
	BUG_ON(hangdump_rounds == 0);
	return 0;
}

/*
 * Never freed: with vm.panic_on_oom the kernel gives up rather than choose a victim. Zeroed, since a dump leaves pages of
 * zeros out.
 */
static noinline int hangdump_eat_all_memory(void *unused)
{
	while (alloc_pages(GFP_KERNEL | __GFP_ZERO, 0))
		hangdump_rounds++;
	return 0;
}

static noinline int hangdump_recurse_without_end(void *level)
{
	volatile char frame[256];
	unsigned long depth = (unsigned long)level;

	frame[depth % sizeof(frame)] = (char)depth;
	return hangdump_recurse_without_end((void *)(depth + 1)) + frame[depth % sizeof(frame)];
}

struct hangdump_crash {
	const char *crash_class;
	const char *thread;
	int (*function)(void *);
	/* Where the interrupt of the emulated machine is taken; the others may be anywhere. */
	int processor;
};

static const struct hangdump_crash hangdump_crashes[] = {
	{ "nmi-hang", "hd-deaf", hangdump_spin_with_interrupts_off, 0 },
	{ "all-deaf", "hd-deaf/1", hangdump_spin_with_interrupts_off, 1 },
	{ "all-deaf", "hd-deaf/0", hangdump_spin_with_interrupts_off, 0 },
	{ "soft-lockup", "hd-busy", hangdump_spin_without_scheduling, 1 },
	{ "rcu-stall", "hd-reader", hangdump_read_for_ever, 1 },
	{ "rcu-stall-elsewhere", "hd-deaf-reader", hangdump_read_with_interrupts_off, 1 },
	{ "hung-task", "hd-holder", hangdump_hold_the_mutex, 0 },
	{ "hung-task", "hd-waiter", hangdump_wait_for_the_mutex, 1 },
	{ "null-dereference", "hd-null", hangdump_follow_a_null_pointer, 1 },
	{ "page-fault", "hd-overrun", hangdump_run_off_the_end, 1 },
	{ "bug", "hd-assertion", hangdump_break_an_assertion, 1 },
	{ "out-of-memory", "hd-eater", hangdump_eat_all_memory, 1 },
	{ "stack-overflow", "hd-recursion", hangdump_recurse_without_end, 1 },
};

static int __init hangdump_crash_init(void)
{
	struct task_struct *threads[ARRAY_SIZE(hangdump_crashes)];
	int created = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(hangdump_crashes); i++) {
		const struct hangdump_crash *crash = &hangdump_crashes[i];
		struct task_struct *thread;

		if (strcmp(crash->crash_class, crash_class))
			continue;
		thread = kthread_create(crash->function, NULL, "%s", crash->thread);
		if (IS_ERR(thread))
			return PTR_ERR(thread);
		kthread_bind(thread, crash->processor);
		threads[created++] = thread;
	}
	/* At once: making a thread waits for all processors, and the first one may be deaf then. */
	preempt_disable();
	for (i = 0; i < created; i++)
		wake_up_process(threads[i]);
	preempt_enable();
	return created ? 0 : -EINVAL;
}

module_init(hangdump_crash_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Crashes the kernel of a test guest on purpose");
