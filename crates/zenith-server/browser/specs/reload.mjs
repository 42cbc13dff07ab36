// A reload says what it means, shows how it comes along, and is still shown after the page is loaded again.

export const specs = {
  'a reload is confirmed, followed and told': async (world) => {
    const page = await world.open('/pipelines/orders');
    await page.getByRole('button', { name: 'Reload…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The old rows stay visible').waitFor();
    await world.picture(page, 'reload-question');
    await world.accessible(page);
    await dialog.getByRole('button', { name: 'Reload' }).click();
    await page.getByText(/^Reloading/).waitFor();
    await page.reload();
    await page.getByText(/^Reloading: done/).waitFor();
    await page.getByRole('button', { name: 'Close this result' }).click();
    await page.getByText(/^Following/).waitFor();
  },

  'a verification finds nothing': async (world) => {
    const page = await world.open('/pipelines/orders');
    await page.getByRole('button', { name: 'Verify…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Verify' }).click();
    await page.getByText(/^Verifying: done/).waitFor();
  },
};
