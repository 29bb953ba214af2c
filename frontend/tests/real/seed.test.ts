// Run by tests/integration/frontend/test_client.py, which then reads the topic.
import { expect, test } from "vitest";

import { getProducer } from '@/lib/kafka/client';

test("the snippet of the setup guide, unchanged", async () => {
const producer = getProducer();
await producer.connect();
await producer.sendMessage(
  'campaign.created.json',
  { campaign_id: '123', name: 'Test Campaign' },
  '123',
  { source: 'frontend', version: '1.0' }
);
await producer.disconnect();
expect(producer).toBe(getProducer());
});
