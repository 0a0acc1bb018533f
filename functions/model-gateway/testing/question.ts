/** The smallest request that is admitted. */
export const question = {
  model: 'gpt-5.5',
  stream: true,
  input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }],
}
