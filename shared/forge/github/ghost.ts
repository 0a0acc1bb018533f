/** Id of the account that stands for deleted ones. GitHub sometimes names nobody instead. */
export const GHOST = '10137'
