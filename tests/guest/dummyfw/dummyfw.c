// SPDX-License-Identifier: GPL-2.0-only
/*
 * dummyfw: two FireWire cards and a cable between them that are not there, what dummy_hcd is for
 * USB.
 *
 * The first card is the debugger's. It has no memory, and its configuration ROM stays as it was
 * when the card was added. The second is the target's: the descriptors and address ranges that
 * programs give to firewire-core are found there. Of these the ones below 4 GiB stand for the
 * target's memory, which the controller of a real one would answer for by itself. Asynchronous
 * packets only.
 *
 * The parameter cable is Y or N, and can be written: N pulls it out, of both.
 */
#include <linux/err.h>
#include <linux/firewire-constants.h>
#include <linux/firewire.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "core.h"

enum { DEBUGGER, TARGET, N_NODES };

#define FIRST_GUID     0x0200000000000001ULL /* locally administered: no vendor has such */
#define MAX_RECEIVE    11		     /* 2 << 11 bytes */
#define RESET_DELAY_MS 20

#define PHY_OF(id)	  ((id)&0x3f)
#define PHY_ALL		  0x3f
#define TCODE_OF(header)  ((header)[0] >> 4 & 0xf)
#define TO_OF(header)	  ((header)[0] >> 16)
#define OFFSET_HIGH	  0xffff /* of the second quadlet of a header */
#define OFFSET_OF(header) ((u64)((header)[1] & OFFSET_HIGH) << 32 | (header)[2])
#define LENGTH_OF(header) ((header)[3] >> 16)

/* The part of a self ID packet that both have: the link is on, contender, S400. */
#define SELF_ID		   (0x80000000 | 1 << 22 | SCODE_400 << 14 | 1 << 11)
#define SELF_ID_GAP(count) ((count) << 16)
#define SELF_ID_INITIATED  (1 << 1)
#define SELF_ID_PHY(phy)   ((phy) << 24)
#define SELF_ID_PORT(port) ((port) << 6)
enum { PORT_IS_FREE = 1, PORT_TO_PARENT = 2, PORT_TO_CHILD = 3 };

/* The bus management registers, from CSR_BUS_MANAGER_ID on, as a reset leaves them */
static const u32 register_defaults[] = {PHY_ALL, BANDWIDTH_AVAILABLE_INITIAL, ~0u, ~0u};

struct dummyfw_node {
	struct fw_card card;
	bool has_initiated; /* the reset that is to come; under lock */
	__be32 rom[(CSR_CONFIG_ROM_END - CSR_CONFIG_ROM) / 4];
	u32 registers[ARRAY_SIZE(register_defaults)];
};

static struct platform_device *device;
static struct dummyfw_node *nodes[N_NODES];
static DEFINE_SPINLOCK(lock);
static LIST_HEAD(packets); /* on their way; under lock */
static bool cable = true;
static bool is_up;     /* all cards are added */
static bool was_cable; /* at the last reset */
static int generation;
/* Where all that happens on the bus happens, one thing after the other */
static struct workqueue_struct *bus;

static struct dummyfw_node *node_of(struct fw_card *card)
{
	return container_of(card, struct dummyfw_node, card);
}

/* ---- resets ---- */

/* What a node says of itself in a reset */
static u32 take_self_id(int i, bool is_one_bus)
{
	u32 self_id = SELF_ID;

	if (!is_one_bus)
		self_id |= SELF_ID_GAP(63) | SELF_ID_PORT(PORT_IS_FREE);
	else if (i == N_NODES - 1)
		self_id |= SELF_ID_GAP(5) | SELF_ID_PHY(i) | SELF_ID_PORT(PORT_TO_CHILD);
	else
		self_id |= SELF_ID_GAP(5) | SELF_ID_PHY(i) | SELF_ID_PORT(PORT_TO_PARENT);
	spin_lock_irq(&lock);
	if (nodes[i]->has_initiated)
		self_id |= SELF_ID_INITIATED;
	nodes[i]->has_initiated = false;
	spin_unlock_irq(&lock);
	return self_id;
}

static void reset(struct work_struct *work)
{
	u32 self_ids[N_NODES];
	int i;

	was_cable = READ_ONCE(cable);
	generation = (generation + 1) & 0xff;
	for (i = 0; i < N_NODES; i++) {
		self_ids[i] = take_self_id(i, was_cable);
		memcpy(nodes[i]->registers, register_defaults, sizeof(register_defaults));
	}
	for (i = 0; i < N_NODES; i++) {
		if (was_cable)
			fw_core_handle_bus_reset(&nodes[i]->card, LOCAL_BUS | i, generation,
						 N_NODES, self_ids, false);
		else
			fw_core_handle_bus_reset(&nodes[i]->card, LOCAL_BUS, generation, 1,
						 &self_ids[i], false);
	}
}

static DECLARE_DELAYED_WORK(reset_work, reset);

/* The card is NULL when it is the cable */
static void schedule_reset(struct fw_card *card)
{
	if (card) {
		unsigned long flags;

		spin_lock_irqsave(&lock, flags);
		node_of(card)->has_initiated = true;
		spin_unlock_irqrestore(&lock, flags);
	}
	if (is_up)
		queue_delayed_work(bus, &reset_work, msecs_to_jiffies(RESET_DELAY_MS));
}

static int set_rom(struct fw_card *card, const __be32 *rom, size_t n_quadlets)
{
	struct dummyfw_node *node = node_of(card);

	if (card == &nodes[DEBUGGER]->card && node->rom[0])
		return 0;
	memset(node->rom, 0, sizeof(node->rom));
	memcpy(node->rom, rom, n_quadlets * 4);
	schedule_reset(card);
	return 0;
}

static int read_phy(struct fw_card *card, int address)
{
	return 0;
}

static int update_phy(struct fw_card *card, int address, int clear, int set)
{
	if ((address == 1 && set & PHY_BUS_RESET) || (address == 5 && set & PHY_BUS_SHORT_RESET))
		schedule_reset(card);
	return 0;
}

/* ---- packets ---- */

/* What a controller answers by itself; *value is to last as long as the answer. */
static bool answer_as_hardware(struct dummyfw_node *node, struct fw_packet *request,
			       struct fw_packet *answer, __be32 *value)
{
	u64 offset = OFFSET_OF(request->header) - CSR_REGISTER_BASE;
	int tcode = TCODE_OF(request->header);
	size_t length = tcode == TCODE_READ_QUADLET_REQUEST ? 4 : LENGTH_OF(request->header);
	bool is_read = tcode == TCODE_READ_QUADLET_REQUEST || tcode == TCODE_READ_BLOCK_REQUEST;
	void *found = NULL;
	int rcode = RCODE_COMPLETE;

	if (OFFSET_OF(request->header) < CSR_REGISTER_BASE) {
		if (node != nodes[DEBUGGER])
			return false;
		rcode = RCODE_ADDRESS_ERROR;
	} else if (offset >= CSR_CONFIG_ROM && offset < CSR_CONFIG_ROM_END) {
		if (!is_read)
			rcode = RCODE_TYPE_ERROR;
		else if (length > CSR_CONFIG_ROM_END - offset)
			rcode = RCODE_ADDRESS_ERROR;
		else
			found = (u8 *)node->rom + (offset - CSR_CONFIG_ROM);
	} else if (offset >= CSR_BUS_MANAGER_ID && offset <= CSR_CHANNELS_AVAILABLE_LO) {
		u32 *known = &node->registers[(offset - CSR_BUS_MANAGER_ID) / 4];

		*value = cpu_to_be32(*known);
		found = value;
		if (tcode == TCODE_LOCK_REQUEST && request->payload_length == 8) {
			const __be32 *words = request->payload; /* compare, swap */

			if (*value == words[0])
				*known = be32_to_cpu(words[1]);
			length = 4;
		} else if (tcode != TCODE_READ_QUADLET_REQUEST) {
			rcode = RCODE_TYPE_ERROR;
		}
	} else {
		return false;
	}
	if (rcode == RCODE_COMPLETE)
		fw_fill_response(answer, request->header, rcode, found, length);
	else
		fw_fill_response(answer, request->header, rcode, NULL, 0);
	return true;
}

/* firewire-core refuses all that it hears for the first 4 GiB, and lets nobody have them. */
static void move_memory(u32 *header)
{
	if ((header[1] & OFFSET_HIGH) == 0)
		header[1] |= FW_MAX_PHYSICAL_RANGE >> 32;
}

static struct dummyfw_node *find_receiver(struct fw_card *from, u32 id)
{
	if (!was_cable)
		return PHY_OF(id) == 0 ? node_of(from) : NULL;
	return PHY_OF(id) < N_NODES ? nodes[PHY_OF(id)] : NULL;
}

static void end_packet(struct fw_packet *packet, struct fw_card *card, int ack)
{
	packet->ack = ack;
	packet->callback(packet, card, ack);
}

static void carry(struct fw_card *from, struct fw_packet *packet)
{
	int tcode = TCODE_OF(packet->header);
	bool is_request = TCODE_IS_REQUEST(tcode);
	struct dummyfw_node *to = find_receiver(from, TO_OF(packet->header));
	struct fw_packet copy = {
		.speed = packet->speed,
		.generation = packet->generation,
		.header_length = packet->header_length,
		.payload_length = packet->payload_length,
		.ack = ACK_PENDING,
	};
	struct fw_packet answer = {};
	__be32 value;

	/* There is nobody for streams, and nothing to configure by PHY packets. */
	if (TCODE_IS_LINK_INTERNAL(tcode) || tcode == TCODE_STREAM_DATA ||
	    PHY_OF(TO_OF(packet->header)) == PHY_ALL) {
		end_packet(packet, from, ACK_COMPLETE);
		return;
	}
	if (packet->generation != generation || !to) {
		end_packet(packet, from, to ? RCODE_GENERATION : RCODE_NO_ACK);
		return;
	}
	memcpy(copy.header, packet->header, sizeof(copy.header));
	if (packet->payload_length) {
		copy.payload = kmemdup(packet->payload, packet->payload_length, GFP_KERNEL);
		if (!copy.payload) {
			end_packet(packet, from, ACK_BUSY_X);
			return;
		}
	}
	end_packet(packet, from, is_request ? ACK_PENDING : ACK_COMPLETE);
	/* from here on the packet is no more */
	if (!is_request) {
		fw_core_handle_response(&to->card, &copy);
	} else if (answer_as_hardware(to, &copy, &answer, &value)) {
		fw_core_handle_response(from, &answer);
	} else {
		move_memory(copy.header);
		fw_core_handle_request(&to->card, &copy);
	}
	kfree(copy.payload);
}

static void carry_all(struct work_struct *work)
{
	struct fw_packet *packet;

	for (;;) {
		spin_lock_irq(&lock);
		packet = list_first_entry_or_null(&packets, struct fw_packet, link);
		if (packet)
			list_del_init(&packet->link);
		spin_unlock_irq(&lock);
		if (!packet)
			break;
		carry(packet->driver_data, packet);
	}
}

static DECLARE_WORK(carry_work, carry_all);

static void send(struct fw_card *card, struct fw_packet *packet)
{
	unsigned long flags;

	packet->driver_data = card;
	spin_lock_irqsave(&lock, flags);
	list_add_tail(&packet->link, &packets);
	spin_unlock_irqrestore(&lock, flags);
	queue_work(bus, &carry_work);
}

static int cancel(struct fw_card *card, struct fw_packet *packet)
{
	struct fw_packet *found;
	unsigned long flags;
	int status = -ENOENT;

	spin_lock_irqsave(&lock, flags);
	list_for_each_entry (found, &packets, link) {
		if (found == packet) {
			list_del_init(&packet->link);
			status = 0;
			break;
		}
	}
	spin_unlock_irqrestore(&lock, flags);
	if (status == 0)
		end_packet(packet, card, RCODE_CANCELLED);
	return status;
}

/* ---- what a card has besides ---- */

static int enable_dma(struct fw_card *card, int node_id, int of_generation)
{
	return -ENODEV;
}

static u32 read_csr(struct fw_card *card, int offset)
{
	u32 rest_us, seconds;

	if (offset != CSR_CYCLE_TIME)
		return 0;
	seconds = div_u64_rem(ktime_to_us(ktime_get()), USEC_PER_SEC, &rest_us);
	/* cycles of 125 us, with 3072 ticks each */
	return (seconds & 0x7f) << 25 | rest_us / 125 << 12 | rest_us % 125 * 3072 / 125;
}

static void write_csr(struct fw_card *card, int offset, u32 value)
{
}

static struct fw_iso_context *allocate_iso(struct fw_card *card, int type, int channel,
					   size_t header_size)
{
	return ERR_PTR(-EBUSY);
}

static const struct fw_card_driver driver = {
	.enable = set_rom,
	.set_config_rom = set_rom,
	.read_phy_reg = read_phy,
	.update_phy_reg = update_phy,
	.send_request = send,
	.send_response = send,
	.cancel_packet = cancel,
	.enable_phys_dma = enable_dma,
	.read_csr = read_csr,
	.write_csr = write_csr,
	.allocate_iso_context = allocate_iso,
};

/* ---- the module ---- */

static int set_cable(const char *text, const struct kernel_param *param)
{
	int status = param_set_bool(text, param);

	if (status == 0)
		schedule_reset(NULL);
	return status;
}

static const struct kernel_param_ops cable_ops = {
	.set = set_cable,
	.get = param_get_bool,
};
module_param_cb(cable, &cable_ops, &cable, 0644);
MODULE_PARM_DESC(cable, "whether the cards are connected");

static void take_down(int n_added)
{
	is_up = false;
	cancel_delayed_work_sync(&reset_work);
	while (n_added > 0)
		fw_core_remove_card(&nodes[--n_added]->card);
	destroy_workqueue(bus);
	while (n_added < N_NODES)
		kfree(nodes[n_added++]);
	platform_device_unregister(device);
}

static int __init dummyfw_init(void)
{
	int i, status = 0;

	device = platform_device_register_simple("dummyfw", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	bus = alloc_ordered_workqueue("dummyfw", WQ_HIGHPRI);
	if (!bus) {
		platform_device_unregister(device);
		return -ENOMEM;
	}
	for (i = 0; i < N_NODES; i++) {
		nodes[i] = kzalloc(sizeof(*nodes[i]), GFP_KERNEL);
		if (!nodes[i]) {
			take_down(0);
			return -ENOMEM;
		}
		fw_card_initialize(&nodes[i]->card, &driver, &device->dev);
	}
	for (i = 0; i < N_NODES && status == 0; i++)
		status = fw_card_add(&nodes[i]->card, MAX_RECEIVE, SCODE_400, FIRST_GUID + i);
	if (status) {
		take_down(i - 1);
		return status;
	}
	is_up = true;
	schedule_reset(NULL);
	return 0;
}
module_init(dummyfw_init);

static void __exit dummyfw_exit(void)
{
	take_down(N_NODES);
}
module_exit(dummyfw_exit);

MODULE_DESCRIPTION("Two FireWire cards on a cable that is not there");
MODULE_LICENSE("GPL");
